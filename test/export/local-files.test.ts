import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { FileBackend } from '../../src/core/file-backend.ts';
import type { LayerId } from '../../src/core/snapshot.ts';
import { exportLocalFiles, exportTarFile } from '../../src/export/local-files.ts';
import { codeOf } from '../contracts/content-store.ts';
import { temporaryDirectory } from '../support/store-rig.ts';

const STACK = ['a'] as unknown as readonly LayerId[];

describe('local files', () => {
  it('a directory that is not there appears whole', async () => {
    await using directory = await temporaryDirectory();
    const dest = join(directory.path, 'x/out');
    await exportLocalFiles(writer(), { dest, trees: [{ stack: STACK }] });
    expect(readFileSync(join(dest, 'a'), 'utf8')).toBe('a');
    expect(readdirSync(join(directory.path, 'x'))).toEqual(['out']);
  });
  it('several platforms: each has a directory', async () => {
    await using directory = await temporaryDirectory();
    const trees = ['linux_amd64', 'linux_arm64'].map((name) => ({ stack: STACK, directory: name }));
    await exportLocalFiles(writer(), { dest: join(directory.path, 'out'), trees });
    expect(readdirSync(join(directory.path, 'out')).toSorted()).toEqual(['linux_amd64', 'linux_arm64']);
  });
  it('a directory that is there keeps its other files', async () => {
    await using directory = await temporaryDirectory();
    writeFileSync(join(directory.path, 'mine'), 'mine');
    await exportLocalFiles(writer(), { dest: directory.path, trees: [{ stack: STACK }] });
    expect(readdirSync(directory.path).toSorted()).toEqual(['a', 'mine']);
  });
  it('a failure leaves nothing', async () => {
    await using directory = await temporaryDirectory();
    const dest = join(directory.path, 'out');
    const broken = writer('broken');
    await expect(exportLocalFiles(broken, { dest, trees: [{ stack: STACK }] })).rejects.toThrow('broken tree');
    await expect(exportTarFile(broken, { dest, stack: STACK })).rejects.toThrow('broken tree');
    expect(readdirSync(directory.path)).toEqual([]);
  });
  it('where the kernel makes no directories: one error, and no wait without end', async () => {
    for (const dest of ['/proc/x', '/proc/x/y']) {
      expect(await codeOf(exportLocalFiles(writer(), { dest, trees: [{ stack: STACK }] }))).toBe('OUTPUT_FAILED');
    }
  });
  it('symbolic links, files in the way and standard output are refused', async () => {
    await using directory = await temporaryDirectory();
    mkdirSync(join(directory.path, 'elsewhere'));
    symlinkSync('elsewhere', join(directory.path, 'link'));
    writeFileSync(join(directory.path, 'file'), '');
    for (const dest of [join(directory.path, 'link'), join(directory.path, 'file'), '-']) {
      expect(await codeOf(exportLocalFiles(writer(), { dest, trees: [{ stack: STACK }] }))).toBe('OUTPUT_FAILED');
    }
    symlinkSync('../elsewhere', join(directory.path, 'elsewhere/linux_amd64'));
    const trees = [{ stack: STACK, directory: 'linux_amd64' }];
    expect(await codeOf(exportLocalFiles(writer(), { dest: join(directory.path, 'elsewhere'), trees }))).toBe(
      'OUTPUT_FAILED',
    );
    expect(readdirSync(join(directory.path, 'elsewhere'))).toEqual(['linux_amd64']);
  });
  it('a tar goes to its file', async () => {
    await using directory = await temporaryDirectory();
    await exportTarFile(writer(), { dest: join(directory.path, 'out.tar'), stack: STACK });
    expect(readFileSync(join(directory.path, 'out.tar'), 'utf8')).toBe('tar of a');
  });
});

/** The two methods that exporters use; the real ones are tested with the sandbox. */
function writer(state: 'sound' | 'broken' = 'sound'): FileBackend {
  const parts: Partial<FileBackend> = {
    exportTo: async (stack, to) => {
      mkdirSync(to, { recursive: true });
      writeFileSync(join(to, stack[0] ?? ''), 'a');
      if (state === 'broken') throw new Error('broken tree');
    },
    exportTar: async function* exportTar(stack) {
      yield Buffer.from(`tar of ${stack.join()}`);
      if (state === 'broken') throw new Error('broken tree');
    },
  };
  return parts as FileBackend;
}
