import { mkdir, mkdtemp, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BuildError, isErrno, messageOf } from '../core/error.ts';
import { type GitUrl, parseGitUrl, splitGitUrl } from '../core/git-url.ts';
import type { GitSource } from '../core/source.ts';
import type { LocalTree } from '../core/tree.ts';
import { FormatError } from '../oci/format-error.ts';
import { type DecompressByProgram, openContextStream } from './context-stream.ts';
import {
  type DockerfileInput,
  type DockerfileText,
  type FoundDockerfile,
  limited,
  readDockerfile,
  readHostIgnoreFile,
  readIgnoreFile,
  readLimited,
} from './dockerfile-file.ts';
import type { HttpClient } from './http-client.ts';
import { redactUrl } from './redact.ts';
import { removeContext, unpackContext } from './tar-context.ts';

/** Where a context comes from: a directory, a git or http URL, bytes (an archive, or just a Dockerfile), or nowhere. */
export type ContextInput =
  | { readonly kind: 'location'; readonly location: string }
  | { readonly kind: 'tar'; readonly bytes: AsyncIterable<Uint8Array> }
  | { readonly kind: 'empty' };

/** What opening contexts works with. */
export interface ContextPorts {
  readonly git: GitSource;
  readonly http: HttpClient;
  /** The patterns of an ignore file, in order, and the line of each. */
  readonly parseIgnoreFile: (text: Uint8Array) => Required<Pick<LocalTree, 'ignore' | 'ignoreLines'>>;
  readonly decompressByProgram: DecompressByProgram;
  /** A private directory for archives to be unpacked in. */
  readonly tmp: string;
}

/** Which context to open. */
export interface ContextRequest {
  /** `context`, or a named context's name: for messages. */
  readonly name: string;
  readonly input: ContextInput;
  /** Absent for a named context, which has none. */
  readonly dockerfile?: DockerfileInput | undefined;
  /** Whether a repository comes with its `.git`, where its URL does not say (default: drop). */
  readonly gitDir?: 'keep' | 'drop' | undefined;
  /** What relative paths start from. */
  readonly cwd: string;
  readonly signal?: AbortSignal | undefined;
}

/** A build context at hand. Disposing it removes what was unpacked for it. */
export interface BuildContext extends AsyncDisposable {
  readonly tree: LocalTree;
  /** `here`: a directory of this machine, or one without files. */
  readonly origin: 'here' | 'fetched';
  /** The Dockerfile that the request named. */
  readonly dockerfile: DockerfileText | undefined;
}

const IGNORE_FILE = '.dockerignore';
const GITHUB_SHORTHAND = /^github\.com\/[\w.-]+\/[\w.-]+/;

/**
 * Brings a context to this machine and finds its Dockerfile. A directory is used where it is; everything else is a private copy.
 * The Dockerfile's own ignore file (`<Dockerfile>.dockerignore`) replaces the context's; only directories have ignore files.
 * @throws CONTEXT_NOT_FOUND, DOCKERFILE_NOT_FOUND, ARCHIVE_INVALID, DOWNLOAD_FAILED, GIT_FAILED
 */
export async function openContext(ports: ContextPorts, request: ContextRequest): Promise<BuildContext> {
  await using cleanup = new AsyncDisposableStack();
  const place = await openPlace(ports, request, cleanup);
  const { tree, named } = place;
  const wanted = request.dockerfile;
  const input = place.text !== undefined && wanted?.kind === 'default' ? place.text : wanted;
  const { http } = ports;
  const found =
    input === undefined
      ? undefined
      : await readDockerfile(input, { root: tree.root, named, http, signal: request.signal });
  const ignore = named.in === 'host' ? await findIgnore(ports, tree.root, found) : {};
  const kept = cleanup.move();
  return {
    tree: { ...tree, ...ignore },
    origin: named.in === 'host' ? 'here' : 'fetched',
    dockerfile: found === undefined ? undefined : { bytes: found.bytes, path: found.path },
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}

/** The image reference that a named context is, or `undefined` where it is a tree to be opened. */
export function imageContext(location: string): string | undefined {
  if (location.startsWith('oci-layout://')) return location;
  return location.startsWith('docker-image://') ? location.slice('docker-image://'.length) : undefined;
}

interface Place {
  readonly tree: LocalTree;
  readonly named: { readonly in: 'host'; readonly cwd: string } | { readonly in: 'tree' };
  /** What was handed over was no archive but this Dockerfile. */
  readonly text?: DockerfileInput;
}

async function openPlace(ports: ContextPorts, request: ContextRequest, cleanup: AsyncDisposableStack): Promise<Place> {
  const { input, name, cwd } = request;
  const host = { in: 'host', cwd } as const;
  switch (input.kind) {
    case 'empty':
      return { tree: localTree(name, await freshFolder(ports, cleanup)), named: host };
    case 'tar':
      return openStream(ports, request, { bytes: input.bytes, label: 'standard input', cleanup });
    case 'location': {
      const { location } = input;
      const folder = resolve(cwd, location);
      if (await isDirectory(folder)) return { tree: localTree(name, folder), named: host };
      const git = gitUrlOf(GITHUB_SHORTHAND.test(location) ? `https://${withGitSuffix(location)}` : location);
      if (git !== undefined) {
        const { tree } = await ports.git.fetch({
          submodules: 'recursive',
          gitDir: request.gitDir ?? 'drop',
          ...git,
          signal: request.signal,
        });
        return { tree: { ...tree, name }, named: { in: 'tree' } };
      }
      if (/^https?:\/\//i.test(location)) {
        const bytes = await downloadContext(ports, location, request.signal);
        return openStream(ports, request, { bytes, label: redactUrl(location), cleanup });
      }
      throw new BuildError('CONTEXT_NOT_FOUND', { path: location });
    }
  }
}

async function openStream(
  ports: ContextPorts,
  { name, dockerfile, signal, cwd }: ContextRequest,
  o: { readonly bytes: AsyncIterable<Uint8Array>; readonly label: string; readonly cleanup: AsyncDisposableStack },
): Promise<Place> {
  const stream = await openContextStream(o.bytes, { name: o.label, decompressByProgram: ports.decompressByProgram });
  const tree = localTree(name, await freshFolder(ports, o.cleanup));
  if (stream.kind === 'tar') {
    await unpackContext(stream.bytes, tree.root, { name: o.label, signal });
    return { tree, named: { in: 'tree' } };
  }
  if (dockerfile === undefined) {
    throw new BuildError('ARCHIVE_INVALID', { path: o.label, reason: 'it is not a tar archive' });
  }
  const text = limited(await readLimited(stream.bytes), o.label);
  // Without an archive the context is empty, and -f can only mean a file of the host.
  return { tree, named: { in: 'host', cwd }, text: { kind: 'text', name: 'Dockerfile', text } };
}

async function downloadContext(
  { http }: ContextPorts,
  location: string,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  const url = redactUrl(location);
  const answer = await http
    .send({ method: 'GET', url: new URL(location), repeat: 'safe', signal })
    .catch((error: unknown) => {
      signal?.throwIfAborted();
      throw new BuildError('DOWNLOAD_FAILED', { url, reason: messageOf(error) }, { cause: error });
    });
  if (answer.status === 200) return answer.body;
  answer.body.destroy();
  throw new BuildError('DOWNLOAD_FAILED', { url, reason: `the server answered ${answer.status}` });
}

async function findIgnore(
  { parseIgnoreFile }: ContextPorts,
  root: string,
  dockerfile: FoundDockerfile | undefined,
): Promise<Partial<LocalTree>> {
  const own = dockerfile?.ignore;
  const ownText = own === undefined ? undefined : await readHostIgnoreFile(own.path);
  if (own !== undefined && ownText !== undefined) return { ...parseIgnoreFile(ownText), ignoreFile: own.name };
  const text = await readIgnoreFile(root, IGNORE_FILE);
  return text === undefined ? {} : { ...parseIgnoreFile(text), ignoreFile: IGNORE_FILE };
}

async function freshFolder({ tmp }: ContextPorts, cleanup: AsyncDisposableStack): Promise<string> {
  await mkdir(tmp, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(tmp, 'context-'));
  cleanup.defer(() => removeContext(folder));
  return folder;
}

function gitUrlOf(location: string): GitUrl | undefined {
  try {
    return parseGitUrl(location);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const { remote } = splitGitUrl(location);
    throw new BuildError('GIT_FAILED', { remote: redactUrl(remote), reason: error.message }, { cause: error });
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'EACCES')) return false;
    throw error;
  }
}

function localTree(name: string, root: string): LocalTree {
  return { kind: 'local', name, root, ignore: [] };
}

/** `github.com/user/repository#ref` in the form that git takes. */
function withGitSuffix(location: string): string {
  const [, path = '', rest = ''] = /^([^#?]*)(.*)$/s.exec(location) ?? [];
  return path.endsWith('.git') ? location : `${path.replace(/\/$/, '')}.git${rest}`;
}
