import { FormatError } from '../oci/format-error.ts';
import { didYouMeanOneOf } from './nearest-name.ts';
import { parseBool } from './parse-bool.ts';

/** A commit, or a folder of it, as a URL names it: `https://host/repo.git#ref:subdir`, or with a query. */
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

type Change = Partial<GitUrl>;

const SCP = /^\w[\w.-]*@[\w.-]+:(?!\/\/)\S+$/;
const ANY_PATH = /^(?:ssh|git):\/\//i;
const HTTP = /^https?:\/\//i;
/** The shortest start of a commit's id that git itself shows. */
const CHECKSUM = /^[0-9a-f]{7,64}$/;
const WHOLE_ID = 40;
const MTIMES = ['checkout', 'commit'];
/** What may stand behind the `?`. */
const OPTIONS = 'ref tag branch subdir checksum commit submodules keep-git-dir mtime fetch-by-commit'.split(' ');

/**
 * The git URL that `text` is, or `undefined` where it is none: `git@host:path`, `ssh://`, `git://`, and `http(s)://` whose path ends in
 * `.git`; each with `#ref:subdir` or `?ref=…&subdir=…` behind it (BuildKit's `dfgitutil.ParseGitRef`).
 * @throws FormatError where it is one, but contradicts itself or asks for what cannot be
 */
export function parseGitUrl(text: string): GitUrl | undefined {
  const { remote, query, fragment } = splitGitUrl(text);
  if (!isRemote(remote)) return undefined;
  const [ref, subdir = ''] = cut(fragment, ':');
  const start: GitUrl = { remote, ...(ref !== '' && { ref }), ...(subdir !== '' && { subdir }) };
  return checkSafe(withPinnedRef(parseQuery(query).reduce(applyOption, start)));
}

/** The parts of what may be a git URL; an absent query or fragment is empty. */
export function splitGitUrl(text: string): Readonly<Record<'remote' | 'query' | 'fragment', string>> {
  const [withQuery, fragment = ''] = cut(text, '#');
  const [remote, query = ''] = cut(withQuery, '?');
  return { remote, query, fragment };
}

function isRemote(remote: string): boolean {
  return SCP.test(remote) || ANY_PATH.test(remote) || (HTTP.test(remote) && remote.endsWith('.git'));
}

function parseQuery(query: string): (readonly [string, string])[] {
  const options = [...new URLSearchParams(query)];
  const repeated = options.find(([name], i) => options.findIndex(([other]) => other === name) !== i);
  if (repeated !== undefined) throw new FormatError(`query ${JSON.stringify(repeated[0])} has multiple values`);
  // A branch or tag is compared with a plain ref, so that one comes first.
  return options.toSorted(([a], [b]) => Number(b === 'ref') - Number(a === 'ref'));
}

function applyOption(url: GitUrl, [name, value]: readonly [string, string]): GitUrl {
  return { ...url, ...optionOf(url, name, value) };
}

function optionOf(url: GitUrl, name: string, value: string): Change {
  switch (name) {
    case 'submodules':
      return { submodules: flagOf(name, value) ? 'recursive' : 'none' };
    case 'keep-git-dir':
      return { gitDir: flagOf(name, value) ? 'keep' : 'drop' };
    case 'fetch-by-commit':
      // Single commits are fetched by themselves wherever the server allows it.
      flagOf(name, value);
      return {};
  }
  if (value === '') throw new FormatError(`query ${JSON.stringify(name)} has no value`);
  switch (name) {
    case 'ref':
      return agree('ref', url.ref, value);
    case 'tag':
      return agree('ref', url.ref, value.startsWith('refs/tags/') ? value : `refs/tags/${value}`);
    case 'branch':
      return agree('ref', url.ref, value.startsWith('refs/heads/') ? value : `refs/heads/${value}`);
    case 'subdir':
      return agree('subdir', url.subdir, value);
    case 'checksum':
    case 'commit':
      return agree('checksum', url.checksum, value);
    case 'mtime':
      if (value === 'checkout' || value === 'commit') return { mtime: value };
      throw new FormatError(`invalid mtime value: ${JSON.stringify(value)}; ${didYouMeanOneOf(value, MTIMES)}`);
    default:
      throw new FormatError(`unexpected query ${JSON.stringify(name)}; ${didYouMeanOneOf(name, OPTIONS)}`);
  }
}

function agree(name: 'ref' | 'subdir' | 'checksum', before: string | undefined, value: string): Change {
  if (before !== undefined && before !== value)
    throw new FormatError(`${name} conflicts: ${JSON.stringify(before)} vs ${JSON.stringify(value)}`);
  return { [name]: value };
}

function flagOf(name: string, value: string): boolean {
  const flag = value === '' ? true : parseBool(value);
  if (flag === undefined) throw new FormatError(`invalid ${name} value: ${JSON.stringify(value)}`);
  return flag;
}

/** A whole commit id says where to look as well. */
function withPinnedRef(url: GitUrl): GitUrl {
  const { ref, checksum = '' } = url;
  return ref === undefined && checksum.length >= WHOLE_ID ? { ...url, ref: checksum } : url;
}

/** Refs and paths become arguments of git: none may look like an option or leave the tree. */
function checkSafe({ subdir, ...url }: GitUrl): GitUrl {
  if (url.ref?.startsWith('-') === true) throw new FormatError('a ref must not begin with a dash');
  if (url.checksum !== undefined && !CHECKSUM.test(url.checksum)) {
    throw new FormatError(`invalid checksum ${JSON.stringify(url.checksum)}: a commit is given by 7 to 64 hex digits`);
  }
  const folders = (subdir ?? '').split('/').filter((name) => name !== '' && name !== '.');
  if (folders.some((name) => name === '..' || name.includes('\0')))
    throw new FormatError(`the folder ${JSON.stringify(subdir)} leaves the repository`);
  return folders.length === 0 ? url : { ...url, subdir: folders.join('/') };
}

function cut(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
