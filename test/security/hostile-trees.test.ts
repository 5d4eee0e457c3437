import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isBuildError } from '../../src/core/error.ts';
import type { FileOp } from '../../src/core/graph.ts';
import { contextOf } from '../contracts/file-backend.ts';
import { openSandboxRig } from '../support/sandbox-rig.ts';
import { openTemp } from '../support/temp.ts';

const op: FileOp = {
  kind: 'file',
  base: 'scratch',
  actions: [
    { type: 'copy', from: 0, sources: ['/d', '/d/f'], dest: '/x/', exclude: [], parents: 'drop', unpack: 'never' },
  ],
};

describe('hostile trees', () => {
  it('a context whose files and directories turn into links to the host and back gives nothing of the host', async () => {
    using temp = openTemp();
    await using rig = await openSandboxRig('overlay');
    mkdirSync(temp.at('host/d'), { recursive: true });
    writeFileSync(temp.at('host/f'), 'SECRET');
    writeFileSync(temp.at('host/d/f'), 'SECRET');
    const context = contextOf(temp, { 'd/f': 'public', 'd/d/f': 'public', 'spare/f': 'public' });
    symlinkSync(temp.at('host/f'), `${context.root}/link-f`);
    symlinkSync(temp.at('host'), `${context.root}/link-d`);
    const racer = fork(resolve(import.meta.dirname, 'fixtures/swap-names.ts'), [context.root]);
    const ended = once(racer, 'exit');
    await using stack = new AsyncDisposableStack();
    stack.defer(async () => {
      racer.kill('SIGKILL');
      await ended;
    });
    await once(racer, 'message');
    let copied = 0;
    for (let i = 0; i < 300; i++) {
      try {
        await rig.sandbox.files.contentDigest(context, { paths: ['/d'], exclude: [], parents: 'drop' });
        const layer = await rig.sandbox.files.run(op, [context]);
        const tar = Buffer.concat(await Array.fromAsync(rig.sandbox.files.exportTar([layer])));
        expect(tar.includes('SECRET')).toBe(false);
        copied++;
      } catch (error) {
        if (!isBuildError(error)) throw error;
        expect(['CONTEXT_CHANGED', 'SOURCE_NOT_FOUND', 'COPY_INVALID']).toContain(error.code);
      }
    }
    expect(readFileSync(temp.at('host/f'), 'utf8')).toBe('SECRET');
    // Where this fails the race was never lost, or never won.
    expect(copied).toBeGreaterThan(0);
  });
  it('a context that is thousands of directories deep is refused, not recursed into for ever', async () => {
    using temp = openTemp();
    await using rig = await openSandboxRig('overlay');
    const context = contextOf(temp, {});
    mkdirSync(`${context.root}/${'d/'.repeat(1500)}`, { recursive: true });
    const digest = rig.sandbox.files.contentDigest(context, { paths: ['/'], exclude: [], parents: 'drop' });
    await expect(digest).rejects.toMatchObject({ code: 'PATH_INVALID' });
  });
});
