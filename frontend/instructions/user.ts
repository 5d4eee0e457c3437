import { Flaw } from '../flaw.ts';
import type { InstructionDef } from '../instruction.ts';
import { expandWord } from '../stage-expand.ts';
import { withConfig, withHistory } from '../stage-state.ts';

interface UserNode {
  readonly user: string;
}

/** USER: who runs later RUNs and the container. Looked up when a RUN needs it. */
export const user: InstructionDef<UserNode> = {
  keyword: 'USER',
  flags: {},
  heredocs: 'refused',
  step: 'no',
  parse: ({ text }) => {
    if (text === '') throw new Flaw('MissingArgument', 'USER requires exactly one argument');
    return { user: text };
  },
  lower: (node, state, context) => {
    const User = expandWord(node.user, state, context);
    return withHistory(withConfig(state, { User: User === '' ? undefined : User }), `USER ${User}`, 'empty');
  },
};
