import { Flaw } from '../flaw.ts';
import { formatList } from '../go-format.ts';
import type { InstructionDef } from '../instruction.ts';
import { withConfig, withHistory } from '../stage-state.ts';
import { parseJsonForm } from '../syntax/words.ts';

interface ShellNode {
  readonly shell: readonly string[];
}

/** SHELL: what the shell form of later instructions runs in. */
export const shell: InstructionDef<ShellNode> = {
  keyword: 'SHELL',
  flags: {},
  heredocs: 'refused',
  step: 'no',
  parse: ({ text }) => {
    const args = parseJsonForm(text);
    if (args === undefined && text !== '') {
      throw new Flaw('InvalidJsonForm', 'SHELL requires the arguments to be in JSON form', {
        help: `write SHELL ["/bin/bash", "-c"]`,
      });
    }
    if (args === undefined || args.length === 0)
      throw new Flaw('MissingArgument', 'SHELL requires at least one argument');
    return { shell: args };
  },
  lower: (node, state) =>
    withHistory(withConfig(state, { Shell: node.shell }), `SHELL ${formatList(node.shell)}`, 'empty'),
};
