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
  ['this process', 0x110300n, 5n, 'another step of this build'],
  ['a process of another pid namespace', 0xfe00n, 6n, 'another process'],
  ['nobody any more', 0xfe00n, 7n, 'another process'],
  ['the same inode of another disk', 0xfe01n, 2779498n, 'another process'],
])('holder of a lock: %s', (_name, device, inode, holder) => {
  expect(holderIn(LOCKS, { device, inode }, 77)).toBe(holder);
});
