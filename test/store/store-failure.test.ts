import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { drainToFile } from '../../src/store/drain-to-file.ts';
import { syncDirectory, syncFile } from '../../src/store/durable-file.ts';
import { tryLock } from '../../src/store/lock-file.ts';
import { makeDirectory } from '../../src/store/make-directory.ts';
import { storeFailure } from '../../src/store/store-failure.ts';
import { type FailingDisk, openFailingDisk } from '../support/failing-disk.ts';
import { describeWith } from '../support/requires.ts';

function change(database: string, sql: string): void {
  using opened = new DatabaseSync(database);
  opened.exec(sql);
}

describeWith(['root', 'loop', 'mke2fs'], 'a disk that has failed', () => {
  let directory = '';
  let disk: FailingDisk;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tsbuild-disk-'));
    disk = await openFailingDisk(directory);
    mkdirSync(join(disk.path, 'made'));
    writeFileSync(join(disk.path, 'file'), 'text');
    change(join(disk.path, 'database'), 'create table t (n)');
    // Node's `recursive` asks for this name again, and the kernel remembers that it is not there.
    expect(() => writeFileSync(join(disk.path, 'missing/file'), '')).toThrow('ENOENT');
    disk.fail();
  });
  afterAll(async () => {
    await disk[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  const lost = {
    async *[Symbol.asyncIterator]() {
      yield Buffer.from('bytes');
    },
  };
  it.each<readonly [what: string, name: string, attempt: (path: string) => unknown]>([
    ['a directory to be made', 'missing', (path) => makeDirectory(path)],
    ['a file to be made durable', 'file', syncFile],
    ['a directory to be made durable', 'made', syncDirectory],
    ['a file to be written', 'new', (path) => drainToFile(lost, { path })],
    ['a lock', 'database', (path) => tryLock(path, 'exclusive')],
    ['a database', 'database', (path) => change(path, 'insert into t values (1)')],
  ])('%s: DISK_FAILED names it', async (_, name, attempt) => {
    const path = join(disk.path, name);
    const error: unknown = await Promise.resolve()
      .then(() => attempt(path))
      .catch((reason: unknown) => storeFailure(reason, disk.path, path));
    expect(error).toMatchObject({ code: 'DISK_FAILED', detail: { path } });
  });
});
