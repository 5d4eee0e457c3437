import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../core/error.ts';
import type { FetchedTree, FetchedTrees, GitSource, Secrets } from '../core/source.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import { checkOut, realDirectory } from './git-checkout.ts';
import { failure, type GitSettings, runGit } from './git-command.ts';
import { fetchCommit, resolveRef } from './git-ref.ts';
import { type GitRequest, openGitRemote } from './git-remote.ts';
import { SharedTasks } from './shared-task.ts';

/** What checkouts work with. */
export interface GitSourcePorts {
  /** GIT_AUTH_TOKEN and GIT_AUTH_HEADER, each also with `.<host>`, are looked up here, and the ssh agent `default`. */
  readonly secrets: Pick<Secrets, 'lookup' | 'lookupAgent'>;
  readonly trees: FetchedTrees;
  /** A directory on the same file system as the trees for what is not yet complete. */
  readonly tmp: string;
  /** `allow` lets remotes and submodules be `file://` URLs: for tests. */
  readonly fileProtocol?: 'refuse' | 'allow';
}

/**
 * Checkouts that are kept, each in a directory named after its identity: an unchanged ref costs one question to the remote,
 * a full commit id none.
 */
export function openGitSource(ports: GitSourcePorts): GitSource {
  const fetches = new SharedTasks<string, FetchedTree>();
  return {
    fetch: (request) => {
      const { signal: _, ...key } = request;
      return fetches.run(canonicalJson(key), (signal) => fetchTree(ports, { ...request, signal }), request.signal);
    },
  };
}

async function fetchTree(ports: GitSourcePorts, request: GitRequest): Promise<FetchedTree> {
  const remote = await openGitRemote(ports, request);
  await mkdir(ports.tmp, { recursive: true });
  const wanted = await resolveRef(remote, request.ref, ports.tmp);
  if (wanted.commit !== undefined) {
    verifyChecksum(remote.settings, request, [wanted.commit, wanted.tag]);
    const identity = identityOf(request, wanted.commit);
    const root = await ports.trees.lookup(identity);
    if (root !== undefined) return treeAt(root, identity, request);
  }
  const draft = join(ports.tmp, `git-${randomUUID()}`);
  await mkdir(draft, { mode: 0o700 });
  try {
    await runGit(remote.settings, ['init', '--quiet', '--', '.'], draft);
    await runGit(remote.settings, ['remote', 'add', '--', 'origin', remote.url], draft);
    const commit = await fetchCommit(remote, wanted, draft);
    verifyChecksum(remote.settings, request, [commit, wanted.tag]);
    await checkOut(remote.settings, request, { folder: draft, commit });
    const identity = identityOf(request, commit);
    const root = await ports.trees.publish(identity, await subdirOf(remote.settings, draft, request.subdir));
    return treeAt(root, identity, request);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function treeAt(root: string, identity: Digest, { remote }: GitRequest): FetchedTree {
  return { identity, tree: { kind: 'local', name: remote.replace(/^.*[/:]/, ''), root, ignore: [] } };
}

/** A commit says all of its content; what is made of it depends on these options. A kept .git also holds the remote's address. */
function identityOf(request: GitRequest, commit: string): Digest {
  const { subdir, submodules, gitDir, mtime = 'checkout', remote, ref } = request;
  const origin = gitDir === 'keep' || submodules === 'recursive' ? remote : undefined;
  const kept = gitDir === 'keep' ? (ref ?? 'HEAD') : undefined;
  return digestOf(canonicalJson(['git', { commit, subdir, submodules, gitDir, mtime, origin, kept }]));
}

/** The commit or the tag object may be what was pinned. */
function verifyChecksum(settings: GitSettings, request: GitRequest, found: readonly (string | undefined)[]): void {
  const { checksum } = request;
  if (checksum === undefined) return;
  if (!/^[0-9a-f]{7,64}$/.test(checksum)) throw failure(settings, 'the checksum has to be 7 to 64 hex digits');
  if (found.some((id) => id?.startsWith(checksum) === true)) return;
  const what = `git ${settings.remote}${request.ref === undefined ? '' : `#${request.ref}`}`;
  throw new BuildError('DIGEST_MISMATCH', { what, expected: checksum, actual: found[0] ?? 'no commit' });
}

async function subdirOf(settings: GitSettings, folder: string, subdir: string | undefined): Promise<string> {
  if (subdir === undefined) return folder;
  const found = await realDirectory(folder, subdir);
  if (found !== undefined) return found;
  throw failure(settings, `${JSON.stringify(subdir)} is not a directory of the repository`);
}
