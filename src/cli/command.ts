import type { StoreOptions } from '../build-request.ts';
import type { TsbuildApi } from '../store-handle.ts';
import type { CliIo } from './cli-io.ts';
import type { FlagShape, RawFlags } from './flag.ts';

/** What a command is run with. */
export interface Invocation {
  readonly operands: readonly string[];
  /** The values of the command's own flags, unparsed. */
  readonly raw: RawFlags;
  readonly store: StoreOptions;
  /** How much errors tell. */
  readonly detail: 'normal' | 'debug';
  readonly io: CliIo;
  /** Loads everything heavy, so it is called as late as possible. */
  readonly loadApi: () => Promise<TsbuildApi>;
}

/** A command, in a file of its own. */
export interface CommandModule {
  /** Its own flags; those of every command come on top. */
  readonly flags: readonly FlagShape[];
  /** How many operands it takes. */
  readonly operands: { readonly min: number; readonly max: number };
  /** @returns the exit status; failures are thrown. */
  readonly run: (invocation: Invocation) => Promise<number>;
}

/** A command and what help says of it. */
export interface CommandEntry {
  readonly name: string;
  /** The operands, for help. */
  readonly usage: string;
  /** One sentence, lower case, no full stop. */
  readonly summary: string;
  readonly module: CommandModule;
}
