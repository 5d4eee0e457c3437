import { Command, CommanderError, type Option } from 'commander';
import type { CommandEntry } from './command.ts';
import { commonFlags } from './common-flags.ts';
import { formatFlag, normalizeArgv, registerFlags, type FlagShape, type RawFlags } from './flag.ts';
import { usageError } from './usage-error.ts';

/** A command line that commander has taken apart, or the help that it asks for. */
export type ParsedCommandLine =
  | { readonly kind: 'run'; readonly operands: readonly string[]; readonly raw: RawFlags }
  | { readonly kind: 'help'; readonly text: string };

/** Takes the arguments of one command apart. @throws USAGE */
export function parseCommandLine(
  entry: CommandEntry,
  { argv, columns }: { readonly argv: readonly string[]; readonly columns: number },
): ParsedCommandLine {
  const flags = [...entry.module.flags, ...commonFlags];
  const raw = new Map<string, string[]>();
  let help = '';
  const command = new Command(`tsbuild ${entry.name}`)
    .usage(entry.usage)
    .description(`${entry.summary.charAt(0).toUpperCase()}${entry.summary.slice(1)}.`)
    .helpOption('-h, --help', 'show this help')
    .argument('[operands...]')
    .configureHelp({ visibleArguments: () => [], optionTerm: (option) => helpTerm(option, flags) })
    .configureOutput({ writeOut: (text) => (help += text), writeErr: () => {}, getOutHelpWidth: () => columns })
    .exitOverride();
  registerFlags(command, flags, raw);
  try {
    command.parse([...normalizeArgv(argv, flags)], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed') return { kind: 'help', text: help };
    throw toUsageError(error, entry);
  }
  checkOperands(command.args, entry);
  return { kind: 'run', operands: command.args, raw };
}

/** A flag as README shows it, long forms below each other. */
function helpTerm(option: Option, flags: readonly FlagShape[]): string {
  const flag = flags.find(({ name }) => name === option.name());
  if (flag === undefined) return option.flags;
  return flag.short === undefined ? `    ${formatFlag(flag)}` : formatFlag(flag);
}

function checkOperands(operands: readonly string[], entry: CommandEntry): void {
  const { min, max } = entry.module.operands;
  if (operands.length >= min && operands.length <= max) return;
  const wanted = min === max ? String(min) : max === Infinity ? `at least ${min}` : `${min} to ${max}`;
  const problem = `tsbuild ${entry.name} takes ${wanted} ${wanted === '1' ? 'operand' : 'operands'}, not ${operands.length}`;
  throw usageError(problem, `usage: tsbuild ${entry.name} ${entry.usage}`);
}

/** commander's message without its prefix; what it suggests becomes the hint. */
function toUsageError(error: CommanderError, entry: CommandEntry): ReturnType<typeof usageError> {
  const [problem = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const hint =
    suggestion === undefined
      ? `see: tsbuild ${entry.name} --help`
      : suggestion.replace(/^\(Did you mean (.*)\?\)$/, 'did you mean $1?');
  return usageError(problem, hint);
}
