import { BuildError } from '../core/error.ts';
import { redactUrl } from './redact.ts';

/** What a git URL asks for: the fields of `GitSource.fetch` that it names. */
export interface GitUrl {
  /** For the git program: without fragment and query. */
  readonly remote: string;
  readonly ref?: string;
  /** Relative, clean, without `..`. */
  readonly subdir?: string;
  /** Hex digits that the commit has to begin with. */
  readonly checksum?: string;
  readonly submodules?: 'recursive' | 'none';
  readonly gitDir?: 'keep' | 'drop';
  readonly mtime?: 'checkout' | 'commit';
}

const SCP = /^(?:[\w][\w.-]*@)[\w.-]+:(?!\/\/)[^\s]+$/;
const ANY_HOST = /^(?:ssh|git):\/\//i;
const HTTP = /^https?:\/\//i;

/**
 * The git URL that `text` is, or `undefined` where it is none: `git@host:path`, `ssh://`, `git://`, and `http(s)://` whose path ends
 * in `.git`; each with `#ref:subdir` or `?ref=…&subdir=…` behind it (BuildKit's `dfgitutil.ParseGitRef`).
 * @throws GIT_FAILED where it is one, but asks for what cannot be
 */
export function parseGitUrl(text: string): GitUrl | undefined {
  const [beforeFragment, fragment] = cut(text, '#');
  const [remote, query] = cut(beforeFragment, '?');
  if (!isRemote(remote)) return undefined;
  const refuse = (reason: string): never => {
    throw new BuildError('GIT_FAILED', { remote: redactUrl(remote), reason });
  };
  const byQuery = query === undefined ? {} : parseQuery(new URLSearchParams(query), refuse);
  const byFragment = fragment === undefined ? {} : parseFragment(fragment);
  const twice = Object.keys(byFragment).find((key) => Object.hasOwn(byQuery, key));
  if (twice !== undefined) refuse(`${twice} is given by the query and after #`);
  const url = { remote, ...byQuery, ...byFragment };
  if (url.ref?.startsWith('-') === true) refuse('a ref cannot begin with -');
  return url.subdir === undefined ? url : withSubdir(url, cleanSubdir(url.subdir) ?? refuse('subdir leads outside'));
}

function isRemote(remote: string): boolean {
  if (remote.startsWith('-')) return false;
  return SCP.test(remote) || ANY_HOST.test(remote) || (HTTP.test(remote) && remote.endsWith('.git'));
}

function parseFragment(fragment: string): { ref?: string; subdir?: string } {
  const [ref, subdir] = cut(fragment, ':');
  return { ...(ref !== '' && { ref }), ...(subdir !== undefined && subdir !== '' && { subdir }) };
}

/** What one key of a query says. */
type QueryValue = (value: string, refuse: (reason: string) => never) => Partial<GitUrl>;

const checksum: QueryValue = (value, refuse) =>
  /^[0-9a-f]{7,64}$/.test(value) ? { checksum: value } : refuse('a commit is given by 7 to 64 hex digits');

const QUERY: ReadonlyMap<string, QueryValue> = new Map<string, QueryValue>([
  ['ref', (ref) => ({ ref })],
  ['branch', (branch) => ({ ref: `refs/heads/${branch}` })],
  ['tag', (tag) => ({ ref: `refs/tags/${tag}` })],
  ['subdir', (subdir) => ({ subdir })],
  ['checksum', checksum],
  ['commit', checksum],
  ['submodules', (value, refuse) => ({ submodules: parseFlag(value, refuse) ? 'recursive' : 'none' })],
  ['keep-git-dir', (value, refuse) => ({ gitDir: parseFlag(value, refuse) ? 'keep' : 'drop' })],
  [
    'mtime',
    (value, refuse) => ({
      mtime: value === 'checkout' || value === 'commit' ? value : refuse('mtime is checkout or commit'),
    }),
  ],
  // Single commits are fetched by themselves wherever the server allows it.
  ['fetch-by-commit', (value, refuse) => (parseFlag(value, refuse) ? {} : {})],
]);

function parseQuery(query: URLSearchParams, refuse: (reason: string) => never): Partial<GitUrl> {
  const said = [...query].map(([name, value]) => {
    const parse = QUERY.get(name) ?? refuse(`unknown query key ${JSON.stringify(name)}`);
    return parse(value, refuse);
  });
  const url: Partial<GitUrl> = Object.fromEntries(said.flatMap((part) => Object.entries(part)));
  const contradicted = said
    .flatMap((part) => Object.entries(part))
    .find(([key, value]) => url[key as keyof GitUrl] !== value);
  if (contradicted !== undefined) refuse(`${contradicted[0]} is given twice`);
  // A whole commit id says where to look as well.
  const whole = url.checksum !== undefined && url.checksum.length >= 40 && url.ref === undefined;
  return whole ? { ...url, ref: url.checksum } : url;
}

function parseFlag(value: string, refuse: (reason: string) => never): boolean {
  if (['', '1', 'true'].includes(value)) return true;
  return ['0', 'false'].includes(value) ? false : refuse(`${JSON.stringify(value)} is neither true nor false`);
}

function withSubdir(url: GitUrl, subdir: string): GitUrl {
  const { subdir: asGiven, ...rest } = url;
  return subdir === '' || asGiven === undefined ? rest : { ...rest, subdir };
}

/** Without empty components and `.`; `undefined` where it would leave the tree. */
function cleanSubdir(subdir: string): string | undefined {
  const components = subdir.split('/').filter((component) => component !== '' && component !== '.');
  return components.some((component) => component === '..' || component.includes('\0'))
    ? undefined
    : components.join('/');
}

function cut(text: string, separator: string): [before: string, after: string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}
