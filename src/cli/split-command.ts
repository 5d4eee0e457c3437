import { lookupCommand } from './command-table.ts';
import type { CommandEntry } from './command.ts';
import { commonFlags } from './common-flags.ts';

/** A command line taken apart. */
export interface SplitCommand {
  readonly entry: CommandEntry;
  /** Whether the command's name was typed. */
  readonly named: 'yes' | 'no';
  /** What was typed but for the command's name. */
  readonly argv: readonly string[];
}

/**
 * Finds the command: the first argument that is no flag of every command (`--store DIR`), if it is a command's name;
 * else `build` is meant. `help COMMAND` is `COMMAND --help`; `undefined` asks for the help of all.
 */
export function splitCommand(argv: readonly string[]): SplitCommand | undefined {
  let index = 0;
  while (index < argv.length) {
    const flag = commonFlags.find(
      ({ name, short }) => argv[index] === `--${name}` || argv[index] === `-${short ?? ' '}`,
    );
    if (flag !== undefined) index += flag.value === undefined ? 1 : 2;
    else if (commonFlags.some(({ name }) => argv[index]?.startsWith(`--${name}=`) === true)) index += 1;
    else break;
  }
  const word = argv[index];
  const rest = [...argv.slice(0, index), ...argv.slice(index + 1)];
  if (word === '--help' || word === '-h') return undefined;
  if (word === 'help') return helpOf(argv[index + 1]);
  const entry = word === undefined ? undefined : lookupCommand(word);
  if (entry !== undefined) return { entry, named: 'yes', argv: rest };
  const build = lookupCommand('build');
  return build === undefined ? undefined : { entry: build, named: 'no', argv };
}

function helpOf(name: string | undefined): SplitCommand | undefined {
  const entry = name === undefined ? undefined : lookupCommand(name);
  return entry === undefined ? undefined : { entry, named: 'yes', argv: ['--help'] };
}
