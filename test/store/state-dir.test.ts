import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openStateDir } from '../../src/store/state-dir.ts';
import { codeOf } from '../contracts/content-store.ts';
import { temporaryDirectory } from '../support/store-rig.ts';

describe('state directory', () => {
  it('open: makes an image layout that only its owner can enter', async () => {
    await using directory = await temporaryDirectory();
    await using state = await openStateDir(join(directory.path, 'a/store'));
    expect(statSync(state.root).mode & 0o777).toBe(0o700);
    expect(JSON.parse(readFileSync(join(state.root, 'oci-layout'), 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' });
    for (const path of [state.blobs, state.sandboxDir, state.http, state.git, state.tmp])
      expect(statSync(path).isDirectory()).toBe(true);
  });
  it('open: takes an empty directory and closes it to others', async () => {
    await using directory = await temporaryDirectory();
    chmodSync(directory.path, 0o755);
    await using state = await openStateDir(directory.path);
    expect(statSync(state.root).mode & 0o777).toBe(0o700);
  });
  it('open: refuses a directory that holds something else, and leaves it alone', async () => {
    await using directory = await temporaryDirectory();
    chmodSync(directory.path, 0o755);
    writeFileSync(join(directory.path, 'notes.txt'), 'mine');
    expect(await codeOf(openStateDir(directory.path))).toBe('STORE_UNUSABLE');
    expect(readdirSync(directory.path)).toEqual(['notes.txt']);
    expect(statSync(directory.path).mode & 0o777).toBe(0o755);
  });
  it('open: refuses a file, another format, and what cannot be written', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'file');
    writeFileSync(file, '');
    symlinkSync('nothing', join(directory.path, 'dangling'));
    for (const path of [file, join(file, 'below'), join(directory.path, 'dangling'), '/proc/x', '/proc/x/y']) {
      expect(await codeOf(openStateDir(path)), path).toBe('STORE_UNUSABLE');
    }
    const store = join(directory.path, 'store');
    await (await openStateDir(store))[Symbol.asyncDispose]();
    writeFileSync(join(store, 'tsbuild-format'), '2\n');
    expect(await codeOf(openStateDir(store))).toBe('STORE_UNUSABLE');
  });
  it('open: a store behind a symbolic link is the same store', async () => {
    await using directory = await temporaryDirectory();
    mkdirSync(join(directory.path, 'real'));
    symlinkSync('real', join(directory.path, 'link'));
    await using state = await openStateDir(join(directory.path, 'link'));
    expect(state.root).toBe(join(directory.path, 'real'));
  });
  it('open: many at once make one store', async () => {
    await using directory = await temporaryDirectory();
    const states = await Promise.all(Array.from({ length: 8 }, () => openStateDir(join(directory.path, 's'))));
    expect(new Set(states.map(({ root }) => root)).size).toBe(1);
    expect(new Set(states.map(({ tmp }) => tmp)).size).toBe(8);
    await Promise.all(states.map((state) => state[Symbol.asyncDispose]()));
    expect(readdirSync(join(directory.path, 's/owners'))).toEqual([]);
    expect(readdirSync(join(directory.path, 's')).filter((name) => name.startsWith('.'))).toEqual([]);
  });
  it('dispose: leaves neither temporary files nor an owner', async () => {
    await using directory = await temporaryDirectory();
    const state = await openStateDir(join(directory.path, 's'));
    writeFileSync(join(state.tmp, 'half'), 'x');
    await state[Symbol.asyncDispose]();
    expect(readdirSync(join(directory.path, 's/tmp'))).toEqual([]);
    expect(readdirSync(join(directory.path, 's/owners'))).toEqual([]);
  });
  it('open: sweeps what a dead owner left', async () => {
    await using directory = await temporaryDirectory();
    await (await openStateDir(join(directory.path, 's')))[Symbol.asyncDispose]();
    writeFileSync(join(directory.path, 's/owners/1000-dead'), '');
    mkdirSync(join(directory.path, 's/tmp/1000-dead'));
    writeFileSync(join(directory.path, 's/tmp/1000-dead/half'), 'x');
    await using state = await openStateDir(join(directory.path, 's'));
    expect(readdirSync(join(directory.path, 's/tmp'))).toHaveLength(1);
    expect(await state.oldestOwnerMs()).toBe(state.openedMs);
  });
  it('oldestOwnerMs: is that of the first owner still alive', async () => {
    await using directory = await temporaryDirectory();
    const first = await openStateDir(join(directory.path, 's'));
    utimesSync(first.root, 1, 1);
    while (Date.now() === first.openedMs) continue;
    await using second = await openStateDir(join(directory.path, 's'));
    expect(await second.oldestOwnerMs()).toBe(first.openedMs);
    await first[Symbol.asyncDispose]();
    expect(await second.oldestOwnerMs()).toBe(second.openedMs);
  });
  it('locked: exclusive ones wait for each other, shared ones do not', async () => {
    await using directory = await temporaryDirectory();
    await using one = await openStateDir(join(directory.path, 's'));
    await using two = await openStateDir(join(directory.path, 's'));
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
    };
    const states = [one, two, one, two];
    await Promise.all(states.map((state) => state.locked({ name: 'names', mode: 'exclusive' }, work)));
    expect(most).toBe(1);
    await one.locked({ name: 'gate', mode: 'shared' }, () => two.locked({ name: 'gate', mode: 'shared' }, work));
  });
  it('locked: waiting ends when aborted', async () => {
    await using directory = await temporaryDirectory();
    await using state = await openStateDir(join(directory.path, 's'));
    const abort = new AbortController();
    await state.locked({ name: 'names', mode: 'exclusive' }, async () => {
      const waiting = state.locked({ name: 'names', mode: 'exclusive', signal: abort.signal }, async () => 'in');
      abort.abort(new Error('the user'));
      await expect(waiting).rejects.toThrow('the user');
    });
  });
});
