import { readdirSync, readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { expect, it, vi } from 'vitest';
import { decompressByProgram } from '../../sandbox/decompress-program.ts';
import { codeOf } from '../contracts/registry-server.ts';
import { describeWith } from '../support/requires.ts';
import { runProgram } from '../support/run-program.ts';

async function packed(program: string, content: Uint8Array): Promise<Buffer> {
  return (await runProgram(program, ['-c'], { stdin: content })).stdoutBytes;
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}

/** What this process started and has not ended. */
function children(): readonly string[] {
  return readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean),
  );
}

describeWith(['bzip2', 'xz'], 'decompression by a program', () => {
  it.each(['bzip2', 'xz'] as const)('%s: gives the content, of several streams too', async (program) => {
    const content = Buffer.alloc(3_000_000, 'some text that repeats, ');
    const bytes = await packed(program, content);
    expect(await buffer(decompressByProgram(program, inPieces(bytes, 1000)))).toEqual(content);
    const twice = Buffer.concat([bytes, bytes]);
    expect((await buffer(decompressByProgram(program, inPieces(twice, 100)))).byteLength).toBe(2 * content.byteLength);
  });

  it.each(['bzip2', 'xz'] as const)('%s: what is cut off or damaged is told', async (program) => {
    const bytes = await packed(program, Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * i) % 251)));
    const damaged = Buffer.from(bytes).fill(0, 100, 120);
    for (const wrong of [bytes.subarray(0, bytes.byteLength / 2), damaged]) {
      await expect(buffer(decompressByProgram(program, inPieces(wrong, 100)))).rejects.toThrow(program);
    }
  });

  it('a source that fails: its failure passes, and the program ends', async () => {
    const bytes = await packed('xz', Buffer.alloc(1_000_000, 'x'));
    async function* failing(): AsyncGenerator<Uint8Array, void> {
      yield bytes.subarray(0, 30);
      throw new Error('the connection is gone');
    }
    const before = children();
    await expect(buffer(decompressByProgram('xz', failing()))).rejects.toThrow('the connection is gone');
    expect(children()).toEqual(before);
  });

  it('a reader that stops: the program ends and the source is let go', async () => {
    const bytes = await packed('xz', Buffer.alloc(50_000_000, 'x'));
    let open = true;
    async function* source(): AsyncGenerator<Uint8Array, void> {
      try {
        for (;;) yield bytes;
      } finally {
        open = false;
      }
    }
    const before = children();
    for await (const chunk of decompressByProgram('xz', source())) {
      expect(chunk.byteLength).toBeGreaterThan(0);
      break;
    }
    expect(open).toBe(false);
    expect(children()).toEqual(before);
  });

  it('a machine without the program: says what to install', async () => {
    vi.stubEnv('PATH', '/nonexistent');
    try {
      const content = buffer(decompressByProgram('xz', inPieces(Buffer.alloc(10), 1)));
      await expect(content).rejects.toMatchObject({
        message: expect.stringContaining('xz') as string,
        hint: 'install xz',
      });
      expect(await codeOf(buffer(decompressByProgram('bzip2', inPieces(Buffer.alloc(10), 1))))).toBe('UNSUPPORTED');
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
