import { Flaw } from './flaw.ts';
import { parseBool } from './go-format.ts';

/** A commit, or a folder of it, as a URL names it: `https://host/repo.git#ref:subdir`, or with a query. */
export interface GitReference {
  /** Without fragment and query. */
  readonly remote: string;
  readonly ref?: string;
  readonly subdir?: string;
  /** A commit's id or the start of one. */
  readonly checksum?: string;
  readonly gitDir?: 'keep' | 'drop';
  readonly submodules?: 'recursive' | 'none';
  readonly mtime?: 'checkout' | 'commit';
}

type Change = Partial<GitReference>;

const SCP_FORM = /^[\w-]+@[\w.-]+:/;
const REMOTE_FORM = /^(?:git|ssh|https?):\/\//;

/**
 * The git repository that `text` names, or `undefined` for any other text. An http URL counts only where its path ends in `.git`.
 * @throws Flaw for a query that contradicts itself or is unknown, a ref that could be taken for an option, a folder outside.
 */
export function parseGitReference(text: string): GitReference | undefined {
  const [withQuery, fragment = ''] = cut(text, '#');
  const [remote, query = ''] = cut(withQuery, '?');
  if (!SCP_FORM.test(remote) && !REMOTE_FORM.test(remote)) return undefined;
  if (/^https?:/.test(remote) && !remote.endsWith('.git')) return undefined;
  const [ref, subdir = ''] = cut(fragment, ':');
  const start: GitReference = { remote, ...(ref !== '' && { ref }), ...(subdir !== '' && { subdir }) };
  const reference = parseQuery(query).reduce(applyOption, start);
  const { checksum } = reference;
  return checkSafe(reference.ref === undefined && checksum !== undefined ? { ...reference, ref: checksum } : reference);
}

function parseQuery(query: string): (readonly [string, string])[] {
  const options = [...new URLSearchParams(query)];
  const repeated = options.find(([name], i) => options.findIndex(([other]) => other === name) !== i);
  if (repeated !== undefined) throw invalid(`query ${JSON.stringify(repeated[0])} has multiple values`);
  // A branch or tag is compared with a plain ref, so that one comes first.
  return options.toSorted(([a], [b]) => Number(b === 'ref') - Number(a === 'ref'));
}

function applyOption(reference: GitReference, [name, value]: readonly [string, string]): GitReference {
  return { ...reference, ...optionOf(reference, name, value) };
}

function optionOf(reference: GitReference, name: string, value: string): Change {
  switch (name) {
    case 'submodules':
      return { submodules: flagOf(name, value) ? 'recursive' : 'none' };
    case 'keep-git-dir':
      return { gitDir: flagOf(name, value) ? 'keep' : 'drop' };
    case 'fetch-by-commit':
      flagOf(name, value);
      return {};
  }
  if (value === '') throw invalid(`query ${JSON.stringify(name)} has no value`);
  switch (name) {
    case 'ref':
      return agree('ref', reference.ref, value);
    case 'tag':
      return agree('ref', reference.ref, value.startsWith('refs/tags/') ? value : `refs/tags/${value}`);
    case 'branch':
      return agree('ref', reference.ref, value.startsWith('refs/heads/') ? value : `refs/heads/${value}`);
    case 'subdir':
      return agree('subdir', reference.subdir, value);
    case 'checksum':
    case 'commit':
      return { checksum: value };
    case 'mtime':
      if (value === 'checkout' || value === 'commit') return { mtime: value };
      throw invalid(`invalid mtime value: ${JSON.stringify(value)}`);
    default:
      throw invalid(`unexpected query ${JSON.stringify(name)}`);
  }
}

function agree(name: 'ref' | 'subdir', before: string | undefined, value: string): Change {
  if (before !== undefined && before !== value)
    throw invalid(`${name} conflicts: ${JSON.stringify(before)} vs ${JSON.stringify(value)}`);
  return { [name]: value };
}

function flagOf(name: string, value: string): boolean {
  const flag = value === '' ? true : parseBool(value);
  if (flag === undefined) throw invalid(`invalid ${name} value: ${JSON.stringify(value)}`);
  return flag;
}

/** Refs and paths become arguments of git: none may look like an option or leave the tree. */
function checkSafe(reference: GitReference): GitReference {
  if (reference.remote.startsWith('-') || reference.ref?.startsWith('-') === true)
    throw invalid('a ref must not begin with a dash');
  if (reference.subdir?.split('/').includes('..') === true)
    throw invalid(`the folder ${JSON.stringify(reference.subdir)} leaves the repository`);
  if (reference.checksum !== undefined && !/^[0-9a-f]{1,64}$/.test(reference.checksum)) {
    throw invalid(`invalid checksum ${JSON.stringify(reference.checksum)}: a commit's id was expected`);
  }
  return reference;
}

function invalid(message: string): Flaw {
  return new Flaw('InvalidGitReference', message);
}

function cut(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
