import { Flaw } from '../flaw.ts';
import type { InstructionDef } from '../instruction.ts';
import { MESSAGES } from '../lint/rules.ts';
import { withHistory } from '../stage-state.ts';

interface MaintainerNode {
  readonly name: string;
}

/** MAINTAINER: the image's author. Deprecated. */
export const maintainer: InstructionDef<MaintainerNode> = {
  keyword: 'MAINTAINER',
  flags: {},
  heredocs: 'refused',
  step: 'no',
  parse: ({ text }) => {
    if (text === '') throw new Flaw('MissingArgument', 'MAINTAINER requires exactly one argument');
    return { name: text };
  },
  lower: (node, state, context) => {
    const text = `LABEL org.opencontainers.image.authors=${JSON.stringify(node.name)}`;
    context.warn('MaintainerDeprecated', MESSAGES.MaintainerDeprecated(), {
      help: `write ${text}`,
      edits: [{ range: context.instruction.range, text }],
    });
    return withHistory({ ...state, author: node.name }, `MAINTAINER ${node.name}`, 'empty');
  },
};
