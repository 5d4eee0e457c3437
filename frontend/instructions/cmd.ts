import { parseCommandLine, withShell, type CommandLine } from '../command-line.ts';
import { quoteList } from '../go-format.ts';
import type { InstructionDef } from '../instruction.ts';
import { MESSAGES } from '../lint/rules.ts';
import { noteLast } from '../once.ts';
import { withConfig, withHistory } from '../stage-state.ts';

/** CMD: the default command, or arguments of the entrypoint. */
export const cmd: InstructionDef<CommandLine> = {
  keyword: 'CMD',
  flags: {},
  heredocs: 'refused',
  step: 'no',
  parse: parseCommandLine,
  lower: (node, state, context) => {
    const next = noteLast('CMD', state, context);
    if (node.form === 'shell' && state.config.Shell === undefined) {
      context.warn('JSONArgsRecommended', MESSAGES.JSONArgsRecommended(context.instruction.word));
    }
    const args = node.form === 'exec' ? node.args : withShell(node.text, state);
    const Cmd = args.length === 0 ? undefined : args;
    return withHistory(withConfig(next, { Cmd, ArgsEscaped: true }), `CMD ${quoteList(args)}`, 'empty');
  },
};
