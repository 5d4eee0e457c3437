import type { Source } from '../../src/core/graph.ts';
import type { GitUrl } from '../../src/core/git-url.ts';
import { parseDigest, type Digest } from '../../src/oci/digest.ts';
import { Flaw } from '../flaw.ts';
import { parseGitReference } from '../git-reference.ts';
import { downloadName, escapeWildcards, gitSource, httpSource } from '../source-vertices.ts';
import type { CopyFilesOptions } from './copy-options.ts';

/** A source that must be fetched first. */
export interface RemoteSource {
  readonly source: Source;
  /** What of its tree is copied. */
  readonly path: string;
  readonly unpack: 'auto' | 'never';
}

/** What ADD fetches for `text`, or `undefined` where it is a path. @throws Flaw where COPY is asked to fetch, or flags contradict. */
export function remoteSource(text: string, options: CopyFilesOptions): RemoteSource | undefined {
  const place = { kind: 'word', text } as const;
  const git = parseGitReference(text);
  if (git !== undefined) {
    if (options.keyword === 'COPY')
      throw new Flaw('RemoteSource', `source can't be a git ref for COPY`, { place, help: 'use ADD' });
    return { source: gitSource(withFlags(git, options)), path: '/', unpack: 'never' };
  }
  if (!/^https?:\/\//.test(text)) return undefined;
  if (options.keyword === 'COPY')
    throw new Flaw('RemoteSource', `source can't be a URL for COPY`, { place, help: 'use ADD' });
  const source = httpSource(text, options.checksum === undefined ? undefined : digestOf(options.checksum));
  return { source, path: `/${escapeWildcards(downloadName(text))}`, unpack: options.unpackRemote };
}

function withFlags(git: GitUrl, { gitDir, checksum }: CopyFilesOptions): GitUrl {
  if (gitDir !== undefined && git.gitDir !== undefined && git.gitDir !== gitDir)
    throw new Flaw('Contradiction', 'inconsistent keep-git-dir configuration', {
      place: { kind: 'flag', name: 'keep-git-dir' },
    });
  if (checksum !== undefined && git.checksum !== undefined && git.checksum !== checksum)
    throw new Flaw(
      'Contradiction',
      `checksum mismatch ${JSON.stringify(checksum)} != ${JSON.stringify(git.checksum)}`,
      { place: { kind: 'flag', name: 'checksum' } },
    );
  return { ...(gitDir !== undefined && { gitDir }), ...(checksum !== undefined && { checksum }), ...git };
}

/** Refuses --checksum where there is not just one thing to fetch. @throws Flaw */
export function checkChecksum(sources: readonly string[], { checksum }: CopyFilesOptions): void {
  if (checksum === undefined) return;
  const place = { kind: 'flag', name: 'checksum' } as const;
  if (sources.length !== 1)
    throw new Flaw('InvalidChecksum', "checksum can't be specified for multiple sources", { place });
  const [source = ''] = sources;
  if (parseGitReference(source) === undefined && !/^https?:\/\//.test(source))
    throw new Flaw('InvalidChecksum', 'checksum requires HTTP(S) or Git sources', { place });
}

function digestOf(text: string): Digest {
  const digest = parseDigest(text);
  if (digest === undefined)
    throw new Flaw('InvalidChecksum', `invalid checksum ${JSON.stringify(text)}`, {
      place: { kind: 'flag', name: 'checksum' },
      help: 'write sha256: and 64 hex digits',
    });
  return digest;
}
