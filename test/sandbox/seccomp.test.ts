import { describe, expect, it } from 'vitest';
import { defaultCapabilities } from '../../solver/runtime-spec.ts';
import { dockerProfile } from '../../sandbox/seccomp-profile.ts';
import { seccompFilter, type SeccompRequest } from '../../sandbox/seccomp.ts';
import { syscallNumbers, type SyscallAbi } from '../../sandbox/syscall-numbers.ts';

const audit: Readonly<Record<SyscallAbi, number>> = {
  x86_64: 0xc000003e,
  x32: 0xc000003e,
  x86: 0x40000003,
  arm64: 0xc00000b7,
  arm: 0x40000028,
};
const abisOf = { x64: ['x86_64', 'x32', 'x86'], arm64: ['arm64', 'arm'] } as const;

const actions: ReadonlyMap<number, string> = new Map([
  [0x7fff0000, 'allow'],
  [0x7fc00000, 'ask'],
  [0x80000000, 'kill'],
]);

/** Runs a filter as the kernel does (seccomp(2)); gives `allow`, `ask`, `kill` or the errno. */
function run(
  filter: Uint8Array,
  call: { readonly arch: number; readonly number: number; readonly args?: readonly bigint[] },
): string {
  const code = Buffer.from(filter);
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number >>> 0, 0);
  data.writeUInt32LE(call.arch >>> 0, 4);
  for (const [index, value] of (call.args ?? []).entries()) data.writeBigUInt64LE(value, 16 + index * 8);
  let accumulator = 0;
  for (let at = 0; at < code.length / 8; at++) {
    const [op, jt, jf, k] = [
      code.readUInt16LE(at * 8),
      code[at * 8 + 2] ?? 0,
      code[at * 8 + 3] ?? 0,
      code.readUInt32LE(at * 8 + 4),
    ];
    if (op === 0x20) accumulator = data.readUInt32LE(k);
    else if (op === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (op === 0x05) at += k;
    else if (op === 0x15) at += accumulator === k ? jt : jf;
    else if (op === 0x35) at += accumulator >= k ? jt : jf;
    else if (op === 0x06) return actions.get(k) ?? `errno ${k & 0xffff}`;
    else throw new Error(`instruction ${op}`);
  }
  throw new Error('ran off the end');
}

function filterFor(change: Partial<SeccompRequest> = {}): Uint8Array {
  const filter = seccompFilter({
    confinement: 'default',
    capabilities: defaultCapabilities,
    sync: 'real',
    deviceNodes: 'kernel',
    arch: 'x64',
    ...change,
  });
  if (filter === undefined) throw new Error('no filter');
  return filter;
}

function answer(filter: Uint8Array, abi: SyscallAbi, name: string, ...args: readonly bigint[]): string {
  const number = syscallNumbers(abi).get(name);
  if (number === undefined) throw new Error(`${abi} has no ${name}`);
  return run(filter, { arch: audit[abi], number, args });
}

describe('seccomp: the default profile', () => {
  it.each(['x64', 'arm64'] as const)('%s: every number of every ABI has the answer of its rule', (arch) => {
    const filter = filterFor({ arch });
    const always = new Set(
      dockerProfile
        .filter(
          ({ action, test, withCapability }) =>
            action === 'allow' &&
            test === undefined &&
            (withCapability === undefined || defaultCapabilities.includes(withCapability)),
        )
        .flatMap(({ names }) => names),
    );
    const tested = new Set(['socket', 'personality', 'clone', 'clone3']);
    for (const abi of abisOf[arch]) {
      const wrong = [...syscallNumbers(abi)].filter(([name, number]) => {
        const expected = always.has(name) ? 'allow' : 'errno 1';
        return !tested.has(name) && run(filter, { arch: audit[abi], number }) !== expected;
      });
      expect(wrong).toEqual([]);
    }
  });
  it('numbers between and beyond the known ones are refused', () => {
    const filter = filterFor();
    const known = new Set(syscallNumbers('x86_64').values());
    const unknown = Array.from({ length: 1000 }, (_, number) => number).filter((number) => !known.has(number));
    expect(new Set(unknown.map((number) => run(filter, { arch: audit.x86_64, number })))).toEqual(new Set(['errno 1']));
    expect(run(filter, { arch: audit.x86_64, number: 0xffffffff })).toBe('errno 1');
  });
  it('foreign architectures are killed', () => {
    expect(run(filterFor(), { arch: audit.arm64, number: 0 })).toBe('kill');
    expect(run(filterFor({ arch: 'arm64' }), { arch: audit.x86_64, number: 0 })).toBe('kill');
  });
  it.each(['x86_64', 'x32', 'x86'] as const)('%s: clone makes no namespaces, clone3 is not there', (abi) => {
    const filter = filterFor();
    expect(answer(filter, abi, 'clone', 17n)).toBe('allow');
    for (const flag of [0x20000n, 0x2000000n, 0x4000000n, 0x8000000n, 0x10000000n, 0x20000000n, 0x40000000n]) {
      expect(answer(filter, abi, 'clone', flag | 17n)).toBe('errno 1');
    }
    expect(answer(filter, abi, 'clone3')).toBe('errno 38');
  });
  it('sockets: by family, all 64 bits of it', () => {
    const filter = filterFor();
    for (const family of [1n, 2n, 10n, 16n, 17n]) expect(answer(filter, 'x86_64', 'socket', family)).toBe('allow');
    for (const family of [0n, 12n, 38n, 40n, 46n, 0x1_0000_0002n])
      expect(answer(filter, 'x86_64', 'socket', family)).toBe('errno 1');
  });
  it('personality: only harmless ones', () => {
    const filter = filterFor();
    for (const value of [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn])
      expect(answer(filter, 'x86_64', 'personality', value)).toBe('allow');
    for (const value of [0x40000n, 1n]) expect(answer(filter, 'x86_64', 'personality', value)).toBe('errno 1');
  });
  it('capabilities open what belongs to them', () => {
    const filter = filterFor({ capabilities: 'all' });
    for (const name of ['mount', 'unshare', 'bpf', 'clone3', 'ptrace', 'reboot'])
      expect(answer(filter, 'x86_64', name)).toBe('allow');
    expect(answer(filter, 'x86_64', 'clone', 0x10000000n)).toBe('allow');
    expect(answer(filterFor({ capabilities: [] }), 'x86_64', 'chroot')).toBe('errno 1');
  });
});

describe('seccomp: device nodes', () => {
  it.each(['x86_64', 'x32', 'x86', 'arm64', 'arm'] as const)('%s: are asked about, other nodes are not', (abi) => {
    const filter = filterFor({ deviceNodes: 'ask', arch: abi.startsWith('arm') ? 'arm64' : 'x64' });
    const calls = [
      { name: 'mknod', before: [0n] },
      { name: 'mknodat', before: [0n, 0n] },
    ].filter(({ name }) => syscallNumbers(abi).has(name));
    for (const { name, before } of calls) {
      // The kernel looks at 16 bits of a mode.
      for (const mode of [0o020666n, 0o060600n, 0xffff_ffff_0000_0000n | 0o020000n])
        expect(answer(filter, abi, name, ...before, mode)).toBe('ask');
      for (const mode of [0n, 0o666n, 0o100600n, 0o010600n, 0o140600n])
        expect(answer(filter, abi, name, ...before, mode)).toBe('allow');
    }
  });
  it('without confinement too', () => {
    const filter = filterFor({ confinement: 'unconfined', deviceNodes: 'ask' });
    expect(answer(filter, 'x86_64', 'mknod', 0n, 0o060000n)).toBe('ask');
    expect(answer(filter, 'x86_64', 'mknod', 0n, 0o010000n)).toBe('allow');
  });
});

describe('seccomp: sync suppression', () => {
  it.each(['default', 'unconfined'] as const)(
    '%s: fsync and its kin succeed, msync only where it would wait',
    (confinement) => {
      const filter = filterFor({ confinement, sync: 'suppress' });
      for (const name of ['fsync', 'fdatasync', 'sync', 'syncfs', 'sync_file_range'])
        expect(answer(filter, 'x86_64', name)).toBe('errno 0');
      expect(answer(filter, 'x86_64', 'msync', 0n, 0n, 4n)).toBe('errno 0');
      expect(answer(filter, 'x86_64', 'msync', 0n, 0n, 1n)).toBe('allow');
      expect(answer(filter, 'x86_64', 'write')).toBe('allow');
    },
  );
  it('unconfined and real: there is nothing to filter', () => {
    expect(
      seccompFilter({ confinement: 'unconfined', capabilities: 'all', sync: 'real', deviceNodes: 'kernel' }),
    ).toBeUndefined();
  });
  it('unconfined: the rest is allowed, on any architecture', () => {
    const filter = filterFor({ confinement: 'unconfined', sync: 'suppress' });
    expect(answer(filter, 'x86_64', 'mount')).toBe('allow');
    expect(run(filter, { arch: 1, number: 1 })).toBe('allow');
  });
  it('an architecture without a table is refused', () => {
    expect(() => filterFor({ arch: 's390x' })).toThrow(/no table for s390x/);
  });
});
