import { mkdirSync, mkdtempSync, rmSync, writeFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno, messageOf } from '../src/core/error.ts';
import type { FileCalls } from './file-jobs.ts';
import { makeDirectory } from './make-directory.ts';
import { check, CLONE_NEWNS, MNT_DETACH, MS_PRIVATE, MS_REC, syscalls } from './syscalls.ts';

/**
 * Mounts an overlay in `directory` and makes it copy up and remove files; gives the reason where that fails. The thread that does this
 * gets a mount namespace of its own and is to be ended afterwards.
 */
export function probeOverlay({ directory, xattrs }: FileCalls['probeOverlay']['args']): string | undefined {
  makeDirectory(directory, { mode: 0o700 });
  const place = mkdtempSync(join(directory, 'overlay-'));
  const merged = join(place, 'merged');
  try {
    for (const name of ['lower', 'upper', 'work', 'merged', 'lower/d']) mkdirSync(join(place, name));
    writeFileSync(join(place, 'lower/d/f'), '');
    check(syscalls().unshare(CLONE_NEWNS), 'unshare', 'mount namespace');
    mount({ source: 'none', target: '/', type: '', flags: MS_REC | MS_PRIVATE, data: '' });
    // Where the kernel always follows redirects, `off` still means to follow them, which userxattr refuses.
    const redirect = xattrs === 'user' ? 'nofollow' : 'off';
    const common = `redirect_dir=${redirect},metacopy=off,index=off`;
    const data = `lowerdir=${join(place, 'lower')},upperdir=${join(place, 'upper')},workdir=${join(place, 'work')},${common}`;
    mount({
      source: 'overlay',
      target: merged,
      type: 'overlay',
      flags: 0,
      data: xattrs === 'user' ? `${data},userxattr` : data,
    });
    try {
      unlinkSync(join(merged, 'd/f'));
      writeFileSync(join(merged, 'd/g'), '');
    } finally {
      check(syscalls().umount2(bytes(merged), MNT_DETACH), 'umount', merged);
    }
    return undefined;
  } catch (error) {
    if (isErrno(error, 'ENOSPC', 'EDQUOT')) throw error;
    return messageOf(error);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

function mount(o: {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly flags: number;
  readonly data: string;
}): void {
  check(
    syscalls().mount(bytes(o.source), bytes(o.target), bytes(o.type), o.flags, bytes(o.data)),
    `mount ${o.type}`,
    o.target,
  );
}

function bytes(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}
