import { WorkerPool } from '../../sandbox/worker-pool.ts';

/** Threads that start while the rest of the program is still being loaded. */
export function startThreads(): WorkerPool {
  const pool = new WorkerPool();
  pool.warmUp();
  return pool;
}
