import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { tsbuildPath } from '../support/build-dist.ts';
import { openFailingDisk } from '../support/failing-disk.ts';
import { describeWith } from '../support/requires.ts';
import { builtDigest, openRig, type Rig } from '../support/rig.ts';
import { type ProgramResult, startProgram } from '../support/run-program.ts';

/** A system call of the store's, and which of those that a thread makes fails. */
const CALLS = [
  ['fdatasync', 1],
  ['fsync', 1],
  ['rename', 1],
  ['rename', 2],
  ['link', 1],
  ['pwrite64', 1],
  ['pwrite64', 4],
  ['ftruncate', 1],
  ['utimensat', 1],
  ['utimensat', 2],
  ['unlink', 1],
] as const;

describeWith(['root', 'strace'], 'a disk that fails', () => {
  it.each(CALLS)('%s, call %i: one error that names the path, and nothing is lost', async (call, count) => {
    await using rig = await openRig();
    const context = await writeContext(rig.work);
    const isFirst = call === 'fsync' || call === 'link';
    // These are only called where a store is made.
    if (!isFirst) await build(rig, context, 'first');
    await appendFile(join(context, 'files/small'), 'changed\n');
    const log = join(rig.work, 'strace.log');
    const injection = ['-f', '--seccomp-bpf', '-o', log, '-e', `inject=${call}:error=EIO:when=${count}`];
    const failed = await startProgram('strace', [
      ...injection,
      process.execPath,
      tsbuildPath,
      '--store',
      rig.store,
      'build',
      '--progress=plain',
      context,
    ]).ended;
    expect(await readFile(log, 'utf8')).toContain('(INJECTED)');
    expectDiskFailure(failed, rig.store);
    await expectWhole(rig, isFirst ? [] : ['first']);
    expect(await build(rig, context, 'second')).toBe(await buildElsewhere(context));
  });
});

describeWith(['root', 'loop', 'mke2fs'], 'a disk that fails under its file system', () => {
  it.each(['COPY files', 'exporting'])(
    'at %s: what was there is whole, and the next build succeeds',
    async (moment) => {
      const directory = await mkdtemp(join(tmpdir(), 'tsbuild-disk-'));
      {
        await using disk = await openFailingDisk(directory);
        await using rig = await openRig();
        const context = await writeContext(rig.work);
        const store = join(disk.path, 'store');
        await mkdir(store);
        await build(rig, context, 'first', store);
        await writeFile(join(context, 'files/large'), randomBytes(100_000_000));
        let printed = '';
        const onStderr = (text: string): void => {
          if (!printed.includes(moment) && (printed += text).includes(moment)) disk.fail();
        };
        const failed = await rig.run(['--store', store, 'build', '--progress=plain', context], { onStderr });
        expectDiskFailure(failed, store);
        await disk.repair();
        await expectWhole(rig, ['first'], store);
        expect(await build(rig, context, 'second', store)).toBe(await buildElsewhere(context));
      }
      await rm(directory, { recursive: true });
    },
  );
});

async function writeContext(work: string): Promise<string> {
  const context = join(work, 'context');
  await mkdir(join(context, 'files'), { recursive: true });
  await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY files /files\nWORKDIR /work\n');
  await writeFile(join(context, 'files/small'), 'small\n');
  await writeFile(join(context, 'files/large'), Buffer.alloc(2_000_000, 'text '));
  return context;
}

/** Gives the image's digest. */
async function build(rig: Rig, context: string, tag: string, store = rig.store): Promise<string> {
  const metadata = join(rig.work, 'metadata.json');
  const dated = ['--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '--metadata-file', metadata];
  await rig.succeed(['--store', store, 'build', ...dated, '-t', tag, context]);
  return builtDigest(metadata);
}

/** What the same context gives in a store that never met a failure. */
async function buildElsewhere(context: string): Promise<string> {
  await using rig = await openRig();
  return await build(rig, context, 'reference');
}

function expectDiskFailure({ status, stderr }: ProgramResult, store: string): void {
  expect(status, stderr).toBe(1);
  const errors = stderr.split('\n').filter((line) => line.startsWith('error '));
  expect(errors, stderr).toHaveLength(1);
  // Once ext4 has given up its journal, the kernel calls what it did not write a read-only file system.
  expect(errors[0]).toMatch(
    /^error (DISK_FAILED: the disk fails at .*: (EIO|disk I\/O error)|STORE_UNUSABLE: .*EROFS)/,
  );
  expect(errors[0]).toContain(store);
}

async function expectWhole(rig: Rig, images: readonly string[], store = rig.store): Promise<void> {
  expect((await rig.succeed(['--store', store, 'verify-store'])).stdout).toMatch(/^the store is whole$/m);
  for (const image of images) {
    await rig.succeed(['--store', store, 'save', '-o', join(rig.work, `${image}.tar`), image]);
  }
}
