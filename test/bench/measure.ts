import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';

/** How long a program took, and the most memory that it had at once, itself without its children. */
export interface Measurement {
  readonly elapsedMs: number;
  readonly peakBytes: number;
}

const SAMPLE_MS = 20;

/** Runs a program, which must succeed. Its output is read and thrown away. */
export async function measure(command: readonly string[], cwd: string): Promise<Measurement> {
  const [file = '', ...args] = command;
  const startMs = performance.now();
  const child = spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let peakBytes = 0;
  const sampler = setInterval(() => {
    peakBytes = Math.max(peakBytes, peakOf(child.pid ?? 0));
  }, SAMPLE_MS);
  try {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.once('error', reject).once('close', resolve);
    const [status, , printed] = await Promise.all([promise, text(child.stdout), text(child.stderr)]);
    if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}:\n${printed}`);
    return { elapsedMs: performance.now() - startMs, peakBytes };
  } finally {
    clearInterval(sampler);
  }
}

function peakOf(pid: number): number {
  try {
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kibibytes ?? 0) * 1024;
  } catch {
    // It has just ended.
    return 0;
  }
}
