import { IgnoreMatcher } from '../../src/core/glob.ts';
import { FormatError } from '../../src/oci/format-error.ts';
import type { Heredoc } from '../syntax/elements.ts';
import { Flaw } from '../flaw.ts';
import type { InstructionText } from '../instruction.ts';
import { parseHeredocOperator } from '../syntax/heredoc.ts';
import { parseListForm } from '../syntax/words.ts';

/** What COPY and ADD have in common, as written. */
export interface CopyFilesNode {
  readonly sources: readonly string[];
  readonly documents: readonly Heredoc[];
  readonly dest: string;
  readonly chown?: string;
  readonly chmod?: string;
  readonly link: 'yes' | 'no';
  readonly exclude: readonly string[];
}

/** Sources, destination and common flags. @throws Flaw */
export function parseCopyFiles({ keyword, text, flags, heredocs }: InstructionText): CopyFilesNode {
  const words = joinOperators(parseListForm(text));
  const dest = words.at(-1);
  if (dest === undefined || words.length < 2) {
    throw new Flaw(
      'MissingArgument',
      `${keyword} requires at least two arguments${dest === undefined ? '' : ', but only one was provided'}. Destination could not be determined`,
    );
  }
  if (parseHeredocOperator(dest) !== undefined)
    throw new Flaw('InvalidHeredoc', `${keyword} cannot accept a heredoc as a destination`);
  const sources = words.slice(0, -1);
  const documents =
    heredocs.length === 0
      ? []
      : heredocs.slice(0, sources.filter((word) => parseHeredocOperator(word) !== undefined).length);
  const hidden = documents.find(({ name }) => name.includes('/') || name === '.' || name === '..');
  if (hidden !== undefined)
    throw new Flaw('InvalidHeredoc', `heredoc name ${JSON.stringify(hidden.name)} is no file name`);
  checkExcludes(flags.values('exclude'));
  const chown = flags.value('chown');
  const chmod = flags.value('chmod');
  return {
    sources: documents.length === 0 ? sources : sources.filter((word) => parseHeredocOperator(word) === undefined),
    documents,
    dest,
    ...(chown !== undefined && chown !== '' && { chown }),
    ...(chmod !== undefined && chmod !== '' && { chmod }),
    link: flags.bool('link') ?? 'no',
    exclude: flags.values('exclude'),
  };
}

/** `COPY <<a <<b x`: an operator and its delimiter belong together even with a space between them. */
function joinOperators(words: readonly string[]): readonly string[] {
  const joined: string[] = [];
  for (const word of words) {
    if (/^\d*<<$/.test(joined.at(-1) ?? '')) joined.push(`${joined.pop() ?? ''}${word}`);
    else joined.push(word);
  }
  return joined;
}

function checkExcludes(patterns: readonly string[]): void {
  for (const pattern of patterns) {
    try {
      if (new IgnoreMatcher([pattern]).patterns.length > 0) continue;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw new Flaw('InvalidPattern', `invalid --exclude: ${error.message}`, {
        place: { kind: 'flag', name: 'exclude' },
      });
    }
  }
}
