import { lstat, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Executor } from '../../src/core/executor.ts';
import type { RegisterTest } from '../support/it-unless.ts';
import { addProgram, type SpecChange, type StepRig } from '../support/step-rig.ts';
import type { StepTest } from './executor.ts';

const errno = { EPERM: 1, ENOENT: 2, EBADF: 9, EACCES: 13, EFAULT: 14, EEXIST: 17, ENOTDIR: 20, EROFS: 30 } as const;
const [ENAMETOOLONG, ELOOP] = [36, 40];

/** What test/sandbox/fixtures/make-node.c tries, and the node that it then leaves below /data: type and mode, owner, device. */
const made: readonly (readonly [way: string, path: string, node: string])[] = [
  ['absolute', 'absolute', '20666 0:0 1:3'],
  ['relative', 'relative', '20666 0:0 1:3'],
  ['block', 'block', '60640 0:0 7:259'],
  ['setuid-bits', 'setuid-bits', '26755 0:0 1:3'],
  ['fifo', 'fifo', '10600 0:0 0:0'],
  ['umask', 'umask', '20640 0:0 1:3'],
  ['group', 'group', '20666 0:50 1:3'],
  ['setgid-directory', 'shared/node', '20666 0:50 1:3'],
  ['directory', 'inner/node', '20666 0:0 1:3'],
  ['directory-up', 'up', '20666 0:0 1:3'],
  ['directory-absolute', 'no-directory', '20666 0:0 1:3'],
  ['link', 'inner/through', '20666 0:0 1:3'],
  ['absolute-link', 'inner/through-absolute', '20666 0:0 1:3'],
  ['chroot', 'jail/inside', '20666 0:0 1:3'],
  ['chroot-up', 'jail/up', '20666 0:0 1:3'],
  ['chroot-link', 'jail/inner/linked', '20666 0:0 1:3'],
  ['beyond-chroot', 'beyond', '20666 0:0 1:3'],
  ['descriptor-beyond-chroot', 'descriptor', '20666 0:0 1:3'],
  ['thread', 'thread', '20666 0:0 1:3'],
  ['end-of-page', 'end', '20666 0:0 1:3'],
  ['longest', 'long', '20666 0:0 1:3'],
];

const refused: readonly (readonly [way: string, errno: number])[] = [
  ['user', errno.EPERM],
  ['user-denied', errno.EACCES],
  ['file-user', errno.EACCES],
  ['existing', errno.EEXIST],
  ['existing-link', errno.EEXIST],
  ['missing', errno.ENOENT],
  ['not-a-directory', errno.ENOTDIR],
  ['loop', ELOOP],
  ['empty', errno.ENOENT],
  ['too-long', ENAMETOOLONG],
  ['long-name', ENAMETOOLONG],
  ['no-memory', errno.EFAULT],
  ['cut', errno.EFAULT],
  ['no-descriptor', errno.EBADF],
  ['file-descriptor', errno.ENOTDIR],
  ['read-only', errno.EROFS],
];

async function makeNodes(
  rig: StepRig,
  executor: Executor,
  { ways, change }: { readonly ways: readonly string[]; readonly change?: SpecChange },
): Promise<string> {
  await addProgram(rig, 'make-node');
  for (const path of ['inner', 'open', 'shared', 'jail', 'jail/inner']) await mkdir(join(rig.lower, 'data', path));
  await writeFile(join(rig.lower, 'data/file'), '');
  for (const [path, target] of [
    ['link', 'inner'],
    ['absolute-link', '/data/inner'],
    ['dangling', 'nowhere'],
    ['loop', 'loop'],
    ['jail/link', '/inner'],
  ] as const) {
    await symlink(target, join(rig.lower, 'data', path));
  }
  const script = `chmod 777 open; chown 0:50 shared; chmod 2777 shared; exec make-node ${ways.join(' ')}`;
  const cwd = { cwd: '/data', ...change?.process };
  return (await rig.sh(executor, script, { ...change, process: cwd })).stdout;
}

async function describeNode(path: string): Promise<string> {
  const { mode, uid, gid, rdev } = await lstat(path);
  const major = ((rdev >> 8) & 0xfff).toString();
  const minor = ((rdev & 0xff) | ((rdev >> 12) & 0xfff00)).toString();
  return `${mode.toString(8)} ${uid}:${gid} ${major}:${minor}`;
}

/** Device nodes that a step makes are those that the kernel would have made for it, whoever makes them. */
export function deviceNodeTests(it: RegisterTest, step: StepTest): void {
  it('device nodes: lie where the step wants them, with mode, owner and device', () =>
    step(async (rig, executor) => {
      const ways = made.map(([way]) => way);
      const stdout = await makeNodes(rig, executor, { ways });
      expect(stdout).toBe(ways.map((way) => `${way}: ok\n`).join(''));
      const found = made.map(async ([way, path]) => [way, path, await describeNode(join(rig.upper, 'data', path))]);
      expect(await Promise.all(found)).toEqual(made);
    }));
  it('device nodes: are refused as the kernel refuses', () =>
    step(async (rig, executor) => {
      const stdout = await makeNodes(rig, executor, { ways: refused.map(([way]) => way) });
      expect(stdout).toBe(refused.map(([way, number]) => `${way}: errno ${number}\n`).join(''));
    }));
  it('device nodes: signals do not make the call twice', () =>
    step(async (rig, executor) => {
      expect(await makeNodes(rig, executor, { ways: ['signals'] })).toBe('signals: ok\n');
    }));
  it('device nodes: 32-bit programs make them', () =>
    step(async (rig, executor) => {
      if (process.arch !== 'x64') return;
      // A kernel may not have that ABI.
      expect(await makeNodes(rig, executor, { ways: ['i386'] })).toMatch(/^i386: (ok|errno 38)\n$/);
    }));
  it('device nodes: a step that never stops making them ends when it is to', () =>
    step(async (rig, executor) => {
      const [controller, reason] = [new AbortController(), new Error('enough')];
      const script = 'cd /data; while mknod node c 1 3; do ls; rm node; done';
      const running = executor.run(rig.spec(['/bin/sh', '-c', script]), {
        output: () => controller.abort(reason),
        signal: controller.signal,
      });
      await expect(running).rejects.toBe(reason);
    }));
  it('device nodes: without the capability there are none', () =>
    step(async (rig, executor) => {
      const capabilities = ['CAP_DAC_OVERRIDE', 'CAP_CHOWN'];
      const stdout = await makeNodes(rig, executor, { ways: ['relative'], change: { process: { capabilities } } });
      expect(stdout).toBe('relative: errno 1\n');
      expect(await readdir(join(rig.upper, 'data'))).not.toContain('relative');
    }));
}
