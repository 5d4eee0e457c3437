import { parseCommandLine, withShell, type CommandLine } from '../command-line.ts';
import { quoteList } from '../go-format.ts';
import type { InstructionDef } from '../instruction.ts';
import { MESSAGES } from '../lint/rules.ts';
import { noteLast } from '../once.ts';
import { withConfig, withHistory } from '../stage-state.ts';

/** ENTRYPOINT: the program that a container runs. Takes an inherited CMD away, for it was meant for another program. */
export const entrypoint: InstructionDef<CommandLine> = {
  keyword: 'ENTRYPOINT',
  flags: {},
  heredocs: 'refused',
  step: 'no',
  parse: parseCommandLine,
  lower: (node, state, context) => {
    const next = noteLast('ENTRYPOINT', state, context);
    if (node.form === 'shell' && state.config.Shell === undefined) {
      context.warn('JSONArgsRecommended', MESSAGES.JSONArgsRecommended(context.instruction.word));
    }
    const args = node.form === 'exec' ? node.args : withShell(node.text, state);
    const Entrypoint = args.length === 0 ? undefined : args;
    const changed = withConfig(next, { Entrypoint, ...(state.last.CMD === undefined && { Cmd: undefined }) });
    return withHistory(changed, `ENTRYPOINT ${quoteList(args)}`, 'empty');
  },
};
