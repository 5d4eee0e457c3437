import { type GitUrl, parseGitUrl } from '../src/core/git-url.ts';
import { FormatError } from '../src/oci/format-error.ts';
import { Flaw } from './flaw.ts';

/** The git repository that a source of ADD names, or `undefined` for any other text. @throws Flaw for a URL that asks for what cannot be */
export function parseGitReference(text: string): GitUrl | undefined {
  try {
    return parseGitUrl(text);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new Flaw('InvalidGitReference', error.message, { place: { kind: 'word', text } });
  }
}
