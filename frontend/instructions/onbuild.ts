import { Flaw } from '../flaw.ts';
import type { Instruction, InstructionDef } from '../instruction.ts';
import { didYouMean } from '../../src/core/nearest-name.ts';

/** ONBUILD, its instruction kept as text. */
export interface OnbuildNode {
  /** Here-documents written out behind it. */
  readonly trigger: string;
}

const FORBIDDEN = ['MAINTAINER', 'FROM'];

/** ONBUILD: an instruction for the stages and images that are built on this one. */
export const onbuild: InstructionDef<OnbuildNode> = {
  keyword: 'ONBUILD',
  flags: {},
  heredocs: 'allowed',
  step: 'no',
  parse: ({ text, heredocs }, { keywords }) => {
    if (text === '') throw new Flaw('MissingArgument', 'ONBUILD requires at least one argument');
    const written = /^\S+/.exec(text)?.[0] ?? '';
    const keyword = written.toUpperCase();
    const place = { kind: 'argument', index: 0 } as const;
    if (keyword === 'ONBUILD')
      throw new Flaw('InvalidTrigger', "chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", { place });
    if (FORBIDDEN.includes(keyword))
      throw new Flaw('InvalidTrigger', `${keyword} isn't allowed as an ONBUILD trigger`, { place });
    if (!keywords.includes(keyword)) {
      throw new Flaw('UnknownInstruction', `unknown instruction: ${written}`, {
        place,
        help: didYouMean(keyword, keywords),
      });
    }
    const bodies = heredocs.map(({ name, body }) => `\n${Buffer.from(body).toString('utf8')}${name}`);
    return { trigger: text + bodies.join('') };
  },
  lower: (node, state) => ({ ...state, onBuild: state.onBuild.with(node.trigger) }),
};

/** The node of an ONBUILD, or `undefined` for any other instruction. */
export function onbuildNodeOf({ keyword, command }: Instruction): OnbuildNode | undefined {
  return keyword === onbuild.keyword ? (command.node as OnbuildNode) : undefined;
}
