import { BuildError } from '../src/core/error.ts';
import type { ResolvedUser } from '../src/core/file-backend.ts';
import type { Ownership } from '../src/core/graph.ts';
import type { FileCalls } from './file-jobs.ts';
import { readFileInTree } from './read-file.ts';

/** A hostile image must not make the builder read without end (BuildKit's cap). */
const MAX_BYTES = 10 << 20;
const MAX_ID = 2 ** 31 - 1;

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** The user that USER means in a tree (see `FileBackend.resolveUser`). Two numbers are taken as they are. @throws USER_NOT_FOUND */
export function resolveUserInTree({ directories, user: text }: FileCalls['resolveUser']['args']): ResolvedUser {
  const [user, group] = splitUser(text);
  const users = passwdOf(directories);
  const entry = findUser(users, user === '' ? '0' : user);
  const uid = entry?.uid ?? numberOf(user === '' ? '0' : user);
  if (uid === undefined) throw new BuildError('USER_NOT_FOUND', { name: user, file: '/etc/passwd' });
  const home = entry?.home ?? '/';
  if (group !== undefined && group !== '') {
    const gid = lookupGroup(directories, group) ?? groupNotFound(group);
    return { uid, gid, additionalGids: [gid], home };
  }
  const gid = entry?.gid ?? 0;
  // The primary group must be among the supplementary ones (CVE-2023-25173).
  const named =
    entry === undefined
      ? []
      : groupsOf(directories)
          .filter(({ members }) => members.includes(entry.name))
          .map((found) => found.gid);
  return { uid, gid, additionalGids: [...new Set([gid, ...named])], home };
}

/**
 * The ids that --chown means: a number alone is uid and gid, a name has its primary group.
 * @throws USER_NOT_FOUND, unless the owner says to ignore unknown names.
 */
export function resolveOwnership(
  directories: readonly string[],
  owner: Ownership,
): { readonly uid: number; readonly gid: number } {
  const number = numberOf(owner.user);
  const entry = number === undefined && owner.user !== '' ? findUser(passwdOf(directories), owner.user) : undefined;
  const uid = owner.user === '' ? 0 : (number ?? entry?.uid);
  if (uid === undefined && owner.unknown === undefined)
    throw new BuildError('USER_NOT_FOUND', { name: owner.user, file: '/etc/passwd' });
  const primary = { uid: uid ?? 0, gid: entry?.gid ?? uid ?? 0 };
  if (owner.group === undefined || owner.group === '') return primary;
  const gid = lookupGroup(directories, owner.group) ?? (owner.unknown === undefined ? undefined : primary.gid);
  return { uid: primary.uid, gid: gid ?? groupNotFound(owner.group) };
}

function splitUser(text: string): readonly [string, string?] {
  const colon = text.indexOf(':');
  return colon === -1 ? [text] : [text.slice(0, colon), text.slice(colon + 1)];
}

function lookupGroup(directories: readonly string[], group: string): number | undefined {
  return numberOf(group) ?? groupsOf(directories).find(({ name }) => name === group)?.gid;
}

function groupNotFound(group: string): never {
  throw new BuildError('USER_NOT_FOUND', { name: group, file: '/etc/group' });
}

function findUser(users: readonly PasswdEntry[], user: string): PasswdEntry | undefined {
  const number = numberOf(user);
  return users.find(({ name }) => name === user) ?? users.find(({ uid }) => uid === number);
}

function numberOf(text: string): number | undefined {
  if (!/^[0-9]{1,10}$/.test(text)) return undefined;
  const number = Number.parseInt(text, 10);
  return number > MAX_ID ? undefined : number;
}

function passwdOf(directories: readonly string[]): PasswdEntry[] {
  return linesOf(directories, '/etc/passwd').flatMap(([name = '', , uid = '', gid = '', , home = '']) => {
    const ids = [numberOf(uid), numberOf(gid)] as const;
    return name === '' || ids[0] === undefined || ids[1] === undefined
      ? []
      : [{ name, uid: ids[0], gid: ids[1], home: home === '' ? '/' : home }];
  });
}

function groupsOf(directories: readonly string[]): GroupEntry[] {
  return linesOf(directories, '/etc/group').flatMap(([name = '', , id = '', members = '']) => {
    const gid = numberOf(id);
    return name === '' || gid === undefined
      ? []
      : [{ name, gid, members: members.split(',').filter((member) => member !== '') }];
  });
}

function linesOf(directories: readonly string[], path: string): string[][] {
  const bytes = readFileInTree({ directories, path, maxBytes: MAX_BYTES });
  const lines = Buffer.from(bytes ?? [])
    .toString('utf8')
    .split('\n');
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}
