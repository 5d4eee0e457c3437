import { closeSync, openSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { statOf } from '../../sandbox/file-stat.ts';
import { StatCache } from '../../sandbox/stat-cache.ts';
import { contextOf } from '../contracts/file-backend.ts';
import { buildDist, tsbuildPath } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { checkProgram } from '../support/run-program.ts';
import { openSandboxRig } from '../support/sandbox-rig.ts';
import { openTemp } from '../support/temp.ts';

const DIGEST = Buffer.alloc(32, 7);
const SECONDS = 3600;

it('stat cache: a file is trusted as long as it was settled when it was read, and nothing about it has changed', () => {
  using temp = openTemp();
  writeFileSync(temp.at('file'), 'content');
  const fd = openSync(temp.at('file'), 'r+');
  const fresh = statOf(fd);
  const later = Math.max(fresh.ctime.seconds, fresh.mtime.seconds) + SECONDS;
  const recorded = (nowSeconds: number): Buffer | undefined => {
    const cache = new StatCache(temp.at('cache', String(nowSeconds)));
    cache.record(fresh, DIGEST, nowSeconds);
    cache.save();
    return new StatCache(temp.at('cache', String(nowSeconds))).lookup(statOf(fd));
  };
  expect(recorded(later - SECONDS)).toBeUndefined();
  expect(recorded(later - SECONDS + 1)).toBeUndefined();
  expect(recorded(later)).toEqual(DIGEST);
  writeFileSync(fd, 'CONTENT');
  utimesSync(temp.at('file'), fresh.mtime.seconds, fresh.mtime.seconds);
  expect(recorded(later)).toBeUndefined();
  closeSync(fd);
});

describeWith(['root', 'overlay', 'strace'], 'scan of a context', () => {
  it('a file that changes again and again within one tick of the clock is seen to change each time', async () => {
    await using rig = await openSandboxRig('overlay');
    using temp = openTemp();
    const context = contextOf(temp, { file: '0000', other: 'other' });
    const selection = { paths: ['/file'], exclude: [], parents: 'drop' } as const;
    const digests = new Set<string>();
    for (let i = 0; i < 300; i++) {
      writeFileSync(join(context.root, 'file'), String(i).padStart(4, '0'));
      utimesSync(join(context.root, 'file'), 1000, 1000);
      digests.add(await rig.sandbox.files.contentDigest(context, selection));
    }
    expect(digests.size).toBe(300);
  });

  it('only what instructions use is looked at', async () => {
    await buildDist();
    using temp = openTemp();
    const dockerfile = 'FROM scratch\nCOPY used/file /\nCOPY some/*.txt /texts/\n';
    const used = { 'used/file': 'x', 'used/beside': 'y', 'some/a.txt': 'a', 'some/deep/f': 'f' };
    const { root } = contextOf(temp, { Dockerfile: dockerfile, ...used, 'unused/directory/f': 'z' });
    const log = temp.at('strace.log');
    const strace = ['-f', '--seccomp-bpf', '-y', '-s', '4096', '-o', log, '-e', 'trace=%file,getdents64'];
    const build = [process.execPath, tsbuildPath, '--store', temp.at('store'), 'build', '-o', 'type=cacheonly', root];
    await checkProgram('strace', [...strace, ...build]);
    const looked = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => /unused|beside|some\/deep\/f|"deep\/f"/.test(line));
    expect(looked).toEqual([]);
    expect(readFileSync(log, 'utf8')).toContain('a.txt');
  });
});
