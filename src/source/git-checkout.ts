import { chmodSync, lstatSync, lutimesSync, readdirSync, rmSync } from 'node:fs';
import { lstat, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isBuildError, isErrno } from '../core/error.ts';
import { type GitSettings, runGit } from './git-command.ts';
import type { GitRequest } from './git-remote.ts';

/**
 * Puts the files of `commit` into the repository's own folder, with its submodules where wanted. Files are 0644 or 0755, directories 0755
 * whatever the umask is; `.git` goes unless it is to be kept.
 */
export async function checkOut(
  settings: GitSettings,
  request: GitRequest,
  { folder, commit }: { readonly folder: string; readonly commit: string },
): Promise<void> {
  await runGit(settings, ['checkout', '--quiet', '--force', '--detach', commit, '--'], folder);
  if (request.submodules === 'recursive') await addSubmodules(settings, folder);
  const times = await commitSeconds(settings, request, folder);
  if (request.gitDir === 'keep') await rm(join(folder, '.git/FETCH_HEAD'), { force: true });
  normalize(Buffer.from(folder), { gitDir: request.gitDir, seconds: times });
}

/** The directory at `subdir` below `folder`, reached over real directories only; `undefined` where there is none. */
export async function realDirectory(folder: string, subdir: string): Promise<string | undefined> {
  let found = folder;
  for (const component of subdir.split('/').filter((name) => name !== '' && name !== '.')) {
    if (component === '..' || component === '.git') return undefined;
    found = join(found, component);
    try {
      if (!(await lstat(found)).isDirectory()) return undefined;
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw error;
    }
  }
  return found;
}

/** Shallow first; a server that refuses to give single commits is asked for everything. */
async function addSubmodules(settings: GitSettings, folder: string): Promise<void> {
  const update = ['submodule', '--quiet', 'update', '--init', '--recursive', '--force'];
  try {
    await runGit(settings, [...update, '--depth=1'], folder);
  } catch (error) {
    const refused =
      isBuildError(error, 'GIT_FAILED') && /not our ref|unadvertised object|shallow/.test(error.detail.reason);
    if (!refused) throw error;
    await runGit(settings, update, folder);
  }
}

async function commitSeconds(settings: GitSettings, request: GitRequest, folder: string): Promise<number | undefined> {
  if (request.mtime !== 'commit') return undefined;
  const text = await runGit(settings, ['log', '-1', '--format=%ct', 'HEAD'], folder);
  return Number(text.trim());
}

interface Normalization {
  readonly gitDir: 'keep' | 'drop';
  readonly seconds: number | undefined;
}

/** Nobody else has this folder yet, so that names can be followed one by one. File names are bytes. */
function normalize(folder: Buffer, o: Normalization): void {
  for (const name of readdirSync(folder, { encoding: 'buffer' })) {
    const path = Buffer.concat([folder, Buffer.from('/'), name]);
    if (name.equals(Buffer.from('.git'))) {
      if (o.gitDir === 'drop') rmSync(path, { recursive: true });
      continue;
    }
    const file = lstatSync(path);
    if (file.isDirectory()) {
      normalize(path, o);
      continue;
    }
    if (file.isFile()) chmodSync(path, (file.mode & 0o111) === 0 ? 0o644 : 0o755);
    if (o.seconds !== undefined) lutimesSync(path, o.seconds, o.seconds);
  }
  chmodSync(folder, 0o755);
  if (o.seconds !== undefined) lutimesSync(folder, o.seconds, o.seconds);
}
