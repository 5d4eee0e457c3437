const STATUSES = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;

/** A signal that ends a command early. */
export type InterruptSignal = keyof typeof STATUSES;

/** Why a command was aborted: what the user or the system wanted, no failure. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  readonly signal: InterruptSignal;

  constructor(signal: InterruptSignal) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
  }

  /** 128 and the signal's number, as shells report it. */
  get exitStatus(): number {
    return STATUSES[this.signal];
  }
}
