import { lowerCopyFiles } from '../copy/lower-copy.ts';
import { parseCopyFiles, type CopyFilesNode } from '../copy/parse-copy.ts';
import { Flaw } from '../flaw.ts';
import type { Instruction, Draw, InstructionDef } from '../instruction.ts';

/** COPY, as written. */
export interface CopyNode extends CopyFilesNode {
  readonly from?: string;
  readonly parents: 'keep' | 'drop';
}

/** COPY: files of the build context, or of another stage, context or image. */
export const copy: InstructionDef<CopyNode> = {
  keyword: 'COPY',
  flags: { from: 'string', chown: 'string', chmod: 'string', link: 'bool', parents: 'bool', exclude: 'strings' },
  heredocs: 'allowed',
  step: 'yes',
  parse: (text) => {
    const from = text.flags.value('from') ?? '';
    if (/\$./.test(from)) {
      throw new Flaw('VariableInFrom', `'from' doesn't support variable expansion, define alias stage instead`, {
        place: { kind: 'flag', name: 'from' },
        help: `write FROM ${from} AS name, then COPY --from=name`,
      });
    }
    return {
      ...parseCopyFiles(text),
      ...(from !== '' && { from }),
      parents: text.flags.bool('parents') === 'yes' ? 'keep' : 'drop',
    };
  },
  draws: (node) => (node.from === undefined ? [] : [drawOf(node.from)]),
  lower: (node, state, context) => {
    const { from } = node;
    return lowerCopyFiles(node, state, {
      context,
      options: {
        keyword: 'COPY',
        tree: () => (from === undefined ? context.mainContext() : context.tree(drawOf(from))),
        origin: from === undefined ? 'context' : 'elsewhere',
        parents: node.parents,
        unpackLocal: 'never',
        unpackRemote: 'never',
      },
    });
  },
};

function drawOf(from: string): Draw {
  return { from, numbers: 'stages', place: { kind: 'flag', name: 'from' } };
}

/** The node of a COPY, or `undefined` for any other instruction. */
export function copyNodeOf({ keyword, command }: Instruction): CopyNode | undefined {
  return keyword === copy.keyword ? (command.node as CopyNode) : undefined;
}
