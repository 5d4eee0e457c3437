import { splitDeviceNumber } from './device-number.ts';

/** Told who holds a lock, in words (`process 1234`); what it gives is called when the wait is over. */
export type WaitListener = (holder: string) => () => void;

/** What those may be told who wait for a lock. */
export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called where the wait is long enough to be worth a word. */
  readonly waiting?: WaitListener | undefined;
}

/** What a wait is told with. */
export interface WaitOptions {
  readonly listener: WaitListener | undefined;
  /** Looked up only when there is something to tell. */
  readonly nameHolder: () => string;
}

/** Who holds a lock that this process itself holds. */
export const OWN_STEP = 'another step of this build';

/** Shorter waits are not worth a word. */
const PATIENCE_MS = 200;

/** A wait for a lock: tells its listener when it gets long, and when it is over. */
export class LockWait implements Disposable {
  readonly #options: WaitOptions;
  readonly #startMs = performance.now();
  #end: (() => void) | undefined;

  constructor(options: WaitOptions) {
    this.#options = options;
  }

  /** To be called at each vain look at the lock. */
  stillWaiting(): void {
    if (this.#end !== undefined || performance.now() - this.#startMs < PATIENCE_MS) return;
    this.#end = this.#options.listener?.(this.#options.nameHolder());
  }

  [Symbol.dispose](): void {
    this.#end?.();
  }
}

/** A file as the kernel's list of locks names it. */
export interface LockedFile {
  readonly device: bigint;
  readonly inode: bigint;
}

/** Who holds a lock of the file, from the text of /proc/locks (proc_locks(5)), which does not number processes of other pid namespaces. */
export function holderIn(locks: string, { device, inode }: LockedFile, ownPid: number): string {
  const { major, minor } = splitDeviceNumber(device);
  const name = `${hex(major)}:${hex(minor)}:${inode}`;
  for (const line of locks.split('\n')) {
    const [, kind, , , pid, file] = line.split(/\s+/);
    if (file !== name || kind === '->' || Number(pid) <= 0) continue;
    return Number(pid) === ownPid ? OWN_STEP : `process ${pid}`;
  }
  return 'another process';
}

/** The kernel prints at least two digits. */
function hex(number: number): string {
  return number.toString(16).padStart(2, '0');
}
