import { lowerCopyFiles } from '../copy/lower-copy.ts';
import { parseCopyFiles, type CopyFilesNode } from '../copy/parse-copy.ts';
import type { Instruction, InstructionDef } from '../instruction.ts';
import { expandWord } from '../stage-expand.ts';

/** ADD, as written. */
export interface AddNode extends CopyFilesNode {
  readonly keepGitDir?: 'yes' | 'no';
  readonly checksum?: string;
  readonly unpack?: 'yes' | 'no';
}

/** ADD: like COPY, but also downloads, clones, and unpacks local archives. */
export const add: InstructionDef<AddNode> = {
  keyword: 'ADD',
  flags: {
    chown: 'string',
    chmod: 'string',
    link: 'bool',
    exclude: 'strings',
    'keep-git-dir': 'bool',
    checksum: 'string',
    unpack: 'bool',
  },
  heredocs: 'allowed',
  step: 'yes',
  parse: (text) => {
    const keepGitDir = text.flags.bool('keep-git-dir');
    const checksum = text.flags.value('checksum') ?? '';
    const unpack = text.flags.bool('unpack');
    return {
      ...parseCopyFiles(text),
      ...(keepGitDir !== undefined && { keepGitDir }),
      ...(checksum !== '' && { checksum }),
      ...(unpack !== undefined && { unpack }),
    };
  },
  lower: (node, state, context) => {
    const checksum = expandWord(node.checksum ?? '', state, context);
    return lowerCopyFiles(node, state, {
      context,
      options: {
        keyword: 'ADD',
        tree: () => context.mainContext(),
        origin: 'context',
        parents: 'drop',
        unpackLocal: node.unpack === 'no' ? 'never' : 'auto',
        unpackRemote: node.unpack === 'yes' ? 'auto' : 'never',
        ...(checksum !== '' && { checksum }),
        ...(node.keepGitDir !== undefined && { gitDir: node.keepGitDir === 'yes' ? 'keep' : 'drop' }),
      },
    });
  },
};

/** The node of an ADD, or `undefined` for any other instruction. */
export function addNodeOf({ keyword, command }: Instruction): AddNode | undefined {
  return keyword === add.keyword ? (command.node as AddNode) : undefined;
}
