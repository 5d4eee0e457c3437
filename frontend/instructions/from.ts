import { didYouMean } from '../../src/core/nearest-name.ts';
import { Flaw } from '../flaw.ts';
import type { Instruction, InstructionDef } from '../instruction.ts';
import { splitWords } from '../syntax/white-space.ts';
import { describe } from './arg.ts';

/** FROM, as written. */
export interface FromNode {
  readonly base: string;
  readonly platform?: string;
  /** In lower case. */
  readonly name?: string;
  readonly nameAsWritten?: string;
  /** `AS` as written. */
  readonly as?: string;
  readonly description?: string;
}

/** FROM: begins a stage on an image, another stage or nothing. The stage itself is made in stages.ts. */
export const from: InstructionDef<FromNode> = {
  keyword: 'FROM',
  flags: { platform: 'string' },
  heredocs: 'refused',
  step: 'no',
  parse: ({ text, flags }, { comments }) => {
    const words = text === '' ? [] : splitWords(text);
    const [base, as, nameAsWritten] = words;
    if (base === undefined || (words.length !== 1 && (words.length !== 3 || as?.toLowerCase() !== 'as'))) {
      throw new Flaw('InvalidFrom', 'FROM requires either one or three arguments', {
        help:
          (words.length === 3 ? didYouMean(as ?? '', ['AS']) : undefined) ?? 'write FROM image, or FROM image AS name',
      });
    }
    const platform = flags.value('platform');
    const platformPart = platform !== undefined && platform !== '' ? { platform } : {};
    if (as === undefined || nameAsWritten === undefined) return { base, ...platformPart };
    const name = nameAsWritten.toLowerCase();
    if (!/^[a-z][a-z0-9\-_.]*$/.test(name)) {
      throw new Flaw(
        'InvalidStageName',
        `invalid name for build stage: ${JSON.stringify(nameAsWritten)}, name can't start with a number or contain symbols`,
        {
          place: { kind: 'argument', index: 2 },
        },
      );
    }
    const description = describe(
      name,
      comments.map((comment) => comment.text),
    );
    return { base, ...platformPart, name, nameAsWritten, as, ...(description !== undefined && { description }) };
  },
  lower: (_node, state) => state,
};

/** The node of a FROM, or `undefined` for any other instruction. */
export function fromNodeOf({ keyword, command }: Instruction): FromNode | undefined {
  return keyword === from.keyword ? (command.node as FromNode) : undefined;
}
