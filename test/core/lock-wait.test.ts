import { expect, test } from 'vitest';
import { holderIn } from '../../src/core/lock-wait.ts';

/** As the kernel prints them; the second waits for the first. */
const LOCKS = `1: POSIX  ADVISORY  WRITE 1234 fe:00:2779498 1073741824 1073742335
1: -> POSIX  ADVISORY  WRITE 99 fe:00:2779498 1073741824 1073742335
2: FLOCK  ADVISORY  READ 77 103:100:5 0 EOF
3: FLOCK  ADVISORY  WRITE 0 fe:00:6 0 EOF
`;

test.each([
  ['another process, by number', 0xfe00n, 2779498n, 'process 1234'],
  ['this process', 0x1d0300n, 5n, 'another step of this build'],
  ['a process of another pid namespace', 0xfe00n, 6n, 'another process'],
  ['nobody any more', 0xfe00n, 7n, 'another process'],
  ['the same inode of another disk', 0xfe01n, 2779498n, 'another process'],
])('holder of a lock: %s', (_name, device, inode, holder) => {
  const dev = device === 0x1d0300n ? (0x103n << 8n) | (0x100n << 12n) : device;
  expect(holderIn(LOCKS, { device: dev, inode }, 77)).toBe(holder);
});
