/*
 * A gate is one shared word of a file worker and the pool that ends it: a thread that is terminated while it loads the foreign-function library
 * aborts the whole process, as the library's start cannot fail. So the worker loads it once, inside the gate, and the pool waits for that.
 */
const NOT_BEGUN = 0;
const LOADING = 1;
const LOADED = 2;
const CLOSED = 3;
/** A worker that is out of memory never comes out. */
const PATIENCE_MS = 10_000;

/** Those that are not closed. The process is one, and so is its end: a second Ctrl-C exits past all pools. */
const open = new Set<Int32Array>();

/** A gate that nobody has passed yet. It is closed at the latest when the process exits, which ends all threads. */
export function openGate(): Int32Array {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  if (open.size === 0) process.on('exit', closeAll);
  open.add(gate);
  return gate;
}

function closeAll(): void {
  for (const gate of open) closeGate(gate);
}

/** In the worker: does `load`, unless the pool has closed the gate: it is about to end this thread, which waits for that. */
export function passGate(gate: Int32Array, load: () => void): void {
  if (Atomics.compareExchange(gate, 0, NOT_BEGUN, LOADING) === CLOSED) Atomics.wait(gate, 0, CLOSED);
  try {
    load();
  } finally {
    Atomics.store(gate, 0, LOADED);
    Atomics.notify(gate, 0);
  }
}

/**
 * In the pool: returns, within milliseconds, once the worker may be terminated: it loads nothing now and will not begin to. Waits
 * synchronously, because an asynchronous wait on a word does not keep the process alive.
 */
export function closeGate(gate: Int32Array): void {
  open.delete(gate);
  if (open.size === 0) process.off('exit', closeAll);
  if (Atomics.compareExchange(gate, 0, NOT_BEGUN, CLOSED) === LOADING) Atomics.wait(gate, 0, LOADING, PATIENCE_MS);
}
