import { expect, it } from 'vitest';
import { syscallNumbers, type SyscallAbi } from '../../sandbox/syscall-numbers.ts';
import { describeWith } from '../support/requires.ts';
import { checkProgram } from '../support/run-program.ts';

const arm64 = 'aarch64-linux-gnu-gcc';
const arm = 'arm-linux-gnueabihf-gcc';

/** What the header defines, by `cpp -dM`: a number, a bracketed sum of numbers and other names. */
async function headerNumbers(compiler: string, header: string): Promise<ReadonlyMap<string, number>> {
  const text = await checkProgram('sh', ['-c', `echo '#include <${header}>' | ${compiler} -E -dM -`]);
  const defines = new Map(Array.from(text.matchAll(/^#define (\w+) (.+)$/gm), ([, name, value]) => [name, value]));
  const numberOf = (value: string): number =>
    value
      .replace(/^\((.*)\)$/, '$1')
      .split('+')
      .map((word) => word.trim())
      .reduce((sum, word) => sum + (defines.has(word) ? numberOf(defines.get(word) ?? '') : Number(word)), 0);
  const calls = [...defines].filter(([name]) => /^__(ARM_)?NR_/.test(name ?? ''));
  return new Map(calls.map(([name = '', value = '']) => [name.replace(/^__(ARM_)?NR_/, ''), numberOf(value)]));
}

describeWith(['cc', arm64, arm], 'numbers of system calls', () => {
  it.each<[SyscallAbi, string, string]>([
    ['x86_64', 'cc', 'asm/unistd_64.h'],
    ['x86', 'cc', 'asm/unistd_32.h'],
    ['x32', 'cc -D__X32_SYSCALL_BIT=0x40000000', 'asm/unistd_x32.h'],
    ['arm64', arm64, 'asm/unistd.h'],
    ['arm', arm, 'asm/unistd.h'],
  ])('%s: are those of the kernel’s header, as far as that knows them', async (abi, compiler, header) => {
    const theirs = await headerNumbers(compiler, header);
    const common = [...syscallNumbers(abi)].filter(([name]) => theirs.has(name));
    expect(common.length).toBeGreaterThan(250);
    expect(common.filter(([name, number]) => theirs.get(name) !== number)).toEqual([]);
  });
});
