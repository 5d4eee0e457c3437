import { BuildError, isBuildError } from '../core/error.ts';
import { failure, runGit } from './git-command.ts';
import type { GitRemote } from './git-remote.ts';

/** What a ref means at the remote now. */
export interface ResolvedRef {
  /** What to ask the remote for: a full ref name, or an object's id. */
  readonly name: string;
  /** Known before anything was fetched, unless the ref is an object's id, which may be that of a tag. */
  readonly commit: string | undefined;
  /** The object of an annotated tag. */
  readonly tag: string | undefined;
}

const OBJECT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
/** Everything that git-check-ref-format forbids, and a leading dash, which git would take for an option. */
const BAD_REF = /^-|^\/|\/$|\.\.|\/\/|@\{|\.lock$|\.$|[\s\p{Cc}~^:?*[\\]/u;

/**
 * Looks `ref` up at the remote: a branch comes before a tag of the same name, `undefined` is the remote's HEAD.
 * An object's id is not looked up. @throws GIT_FAILED
 */
export async function resolveRef(remote: GitRemote, ref: string | undefined, cwd: string): Promise<ResolvedRef> {
  if (ref !== undefined && BAD_REF.test(ref)) throw failure(remote.settings, `${JSON.stringify(ref)} is no valid ref`);
  if (ref !== undefined && OBJECT_ID.test(ref)) return { name: ref, commit: ref, tag: undefined };
  const patterns = ref === undefined ? ['HEAD'] : [ref, `${ref}^{}`];
  const listing = await runGit(remote.settings, ['ls-remote', '--quiet', '--', remote.url, ...patterns], cwd);
  const refs = parseListing(listing);
  const candidates = ref === undefined ? ['HEAD'] : [`refs/heads/${ref}`, `refs/tags/${ref}`, ref, `refs/${ref}`];
  const name = candidates.find((candidate) => refs.has(candidate));
  const id = name === undefined ? undefined : refs.get(name);
  if (name === undefined || id === undefined) {
    throw failure(
      remote.settings,
      ref === undefined ? 'the repository is empty' : `there is no ref ${JSON.stringify(ref)}`,
    );
  }
  const peeled = refs.get(`${name}^{}`);
  return { name, commit: peeled ?? id, tag: peeled === undefined ? undefined : id };
}

/**
 * Fetches what `wanted` names into the repository `folder`, as little of the history as the server allows.
 * @returns the commit's id, which for a ref may be newer than when it was resolved
 */
export async function fetchCommit(remote: GitRemote, wanted: ResolvedRef, folder: string): Promise<string> {
  const shallow = ['fetch', '--quiet', '--no-tags', '--depth=1', '--', 'origin', wanted.name];
  try {
    await runGit(remote.settings, shallow, folder);
    return await commitOf(remote, 'FETCH_HEAD', folder);
  } catch (error) {
    // Servers may refuse to give single objects: then everything is fetched.
    const refused = isBuildError(error, 'GIT_FAILED') && /not our ref|unadvertised object/.test(error.detail.reason);
    if (!refused || !OBJECT_ID.test(wanted.name)) throw error;
  }
  const all = ['+refs/heads/*:refs/remotes/origin/*', '+refs/tags/*:refs/tags/*'];
  await runGit(remote.settings, ['fetch', '--quiet', '--', 'origin', ...all], folder);
  return commitOf(remote, wanted.name, folder);
}

async function commitOf(remote: GitRemote, name: string, folder: string): Promise<string> {
  const args = ['rev-parse', '--quiet', '--verify', '--end-of-options', `${name}^{commit}`];
  const commit = (
    await runGit(remote.settings, args, folder).catch((error: unknown) => {
      throw error instanceof BuildError ? failure(remote.settings, `there is no commit ${name}`, error) : error;
    })
  ).trim();
  if (OBJECT_ID.test(commit)) return commit;
  throw failure(remote.settings, `there is no commit ${name}`);
}

function parseListing(listing: string): ReadonlyMap<string, string> {
  return new Map(
    listing.split('\n').flatMap((line): [string, string][] => {
      const [id, name] = line.split('\t');
      return id !== undefined && name !== undefined && OBJECT_ID.test(id) ? [[name, id]] : [];
    }),
  );
}
