import { describe, expect, it } from 'vitest';
import { FormatError } from '../../src/oci/format-error.ts';
import { classifyWhiteout, OPAQUE_WHITEOUT, WHITEOUT_PREFIX } from '../../src/oci/whiteout.ts';

describe('classifyWhiteout', () => {
  it('names: a whiteout names its target, bytes as they are', () => {
    expect(classifyWhiteout(Buffer.from('.wh.passwd'))).toEqual({ kind: 'whiteout', target: Buffer.from('passwd') });
    const odd = Buffer.from([0x2e, 0x77, 0x68, 0x2e, 0xff, 0xfe]);
    expect(classifyWhiteout(odd)).toEqual({ kind: 'whiteout', target: Buffer.from([0xff, 0xfe]) });
    expect(classifyWhiteout(Buffer.from('.wh..hidden'))).toEqual({ kind: 'whiteout', target: Buffer.from('.hidden') });
    expect(classifyWhiteout(Buffer.from('.wh....'))).toEqual({ kind: 'whiteout', target: Buffer.from('...') });
  });

  it('opaque: only the exact name', () => {
    expect(classifyWhiteout(Buffer.from(OPAQUE_WHITEOUT))).toEqual({ kind: 'opaque' });
  });

  it.each(['passwd', '.wh', '.whx', 'x.wh.y', '', '.WH.a'])('%j: is an ordinary name', (name) => {
    expect(classifyWhiteout(Buffer.from(name))).toEqual({ kind: 'none' });
  });

  it.each([
    ['nothing', WHITEOUT_PREFIX],
    ['the directory itself', '.wh..'],
    ['its parent', '.wh...'],
    ['a path', '.wh.a/b'],
    ['a path upwards', '.wh.../../etc'],
    ['NUL', '.wh.a\0b'],
    ['aufs bookkeeping', '.wh..wh.plnk'],
    ['aufs bookkeeping', '.wh..wh.aufs'],
    ['a longer opaque name', '.wh..wh..opq.x'],
    ['a whiteout of a whiteout', '.wh..wh.a'],
  ])('removal of %s: is refused (%j)', (_, name) => {
    expect(() => classifyWhiteout(Buffer.from(name))).toThrow(FormatError);
  });
});
