import { expect, it } from 'vitest';
import { TarParser } from '../../src/oci/tar-reader.ts';
import type { TarEntry } from '../../src/oci/tar-header.ts';
import { encodeTarEntry, TAR_END, tarPadding } from '../../src/oci/tar-writer.ts';
import { fileEntry } from './tar-entries.ts';

const SIZE = 9 * 2 ** 30 + 3;
const CHUNK = Buffer.alloc(64 * 2 ** 20);

/** The size as GNU tar and Go's older writers put it into the header itself: base 256 behind a set first bit. */
function binarySizeHeader(): Buffer {
  const block = encodeTarEntry(fileEntry('large', { size: 0 }));
  block.fill(0, 124, 136);
  block.writeUInt8(0x80, 124);
  block.writeBigUInt64BE(BigInt(SIZE), 128);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

it.each<[string, Buffer]>([
  ['a PAX record, as we write it', encodeTarEntry(fileEntry('large', { size: SIZE }))],
  ['a binary header field', binarySizeHeader()],
])('tar: a file of 9 GiB whose size is in %s is read whole, and so is what follows', (_, head) => {
  const found: { readonly entry: TarEntry; bytes: number }[] = [];
  const parser = new TarParser({
    entry: (entry) => void found.push({ entry, bytes: 0 }),
    data: (chunk) => {
      const last = found.at(-1);
      if (last !== undefined) last.bytes += chunk.length;
    },
    end: () => undefined,
  });
  parser.push(head);
  for (let left = SIZE; left > 0; left -= CHUNK.length) parser.push(CHUNK.subarray(0, Math.min(left, CHUNK.length)));
  parser.push(tarPadding(SIZE));
  parser.push(Buffer.concat([encodeTarEntry(fileEntry('next', { size: 4 })), Buffer.from('next'), tarPadding(4)]));
  parser.push(TAR_END);
  parser.finish();
  expect(found.map(({ entry, bytes }) => [entry.path.toString(), entry.size, bytes])).toEqual([
    ['large', SIZE, SIZE],
    ['next', 4, 4],
  ]);
});
