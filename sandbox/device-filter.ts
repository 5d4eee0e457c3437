import type { RuntimeMount } from '../src/core/executor.ts';

/** The character devices that a step may open, as Docker has them: null zero full random urandom, tty console ptmx, pseudo terminals. */
export const usableDevices: readonly { readonly major: number; readonly minor?: number }[] = [
  { major: 1, minor: 3 },
  { major: 1, minor: 5 },
  { major: 1, minor: 7 },
  { major: 1, minor: 8 },
  { major: 1, minor: 9 },
  { major: 5, minor: 0 },
  { major: 5, minor: 1 },
  { major: 5, minor: 2 },
  { major: 136 },
];

/** A device of the host that one step may use. */
export type GrantedDevice = Pick<Extract<RuntimeMount, { type: 'device' }>, 'kind' | 'major' | 'minor' | 'access'>;

/** The devices that a step is given besides. */
export function grantedDevices(mounts: readonly RuntimeMount[]): readonly GrantedDevice[] {
  return mounts.flatMap((mount) => {
    if (mount.type !== 'device') return [];
    const { kind, major, minor, access } = mount;
    return [{ kind, major, minor, access }];
  });
}

/** What is allowed, as v1 cgroups and OCI runtimes write it. */
export function accessLetters({ access: { read, write, mknod } }: GrantedDevice): string {
  return `${read ? 'r' : ''}${write ? 'w' : ''}${mknod ? 'm' : ''}`;
}

/** A line for `devices.allow` of a v1 cgroup. */
export function deviceRule(device: GrantedDevice): string {
  const { kind, major, minor } = device;
  return `${kind === 'block' ? 'b' : 'c'} ${major}:${minor} ${accessLetters(device)}`;
}

/** Registers: 0 the answer, 1 the context, and what is loaded from it. */
const [answer, context, kind, access, major, minor] = [0, 1, 2, 3, 4, 5];
const [typeBlock, typeCharacter] = [1, 2];
const [accessMknod, accessRead, accessWrite] = [1, 2, 4];
const instructionBytes = 8;

/**
 * eBPF that a v2 cgroup asks about every use of a device (struct bpf_cgroup_dev_ctx: access in the upper half and type in the lower half of
 * the first word, then major and minor). Any node may be made; only `usableDevices` open, and what this step is given besides.
 */
export function deviceFilter(granted: readonly GrantedDevice[]): Uint8Array {
  const allow = [move(answer, 1), exit()];
  const refuse = [move(answer, 0), exit()];
  const rules = usableDevices.flatMap((device) => {
    const test = device.minor === undefined ? allow : [unlessEqual(minor, device.minor, allow.length), ...allow];
    return [unlessEqual(major, device.major, test.length), ...test];
  });
  return Buffer.concat([
    load(kind, 0),
    copy(access, kind),
    instruction({ code: 0x54, register: kind, immediate: 0xffff }),
    instruction({ code: 0x74, register: access, immediate: 16 }),
    load(major, 4),
    load(minor, 8),
    unlessEqual(access, accessMknod, allow.length),
    ...allow,
    ...granted.flatMap((device) => allowGranted(device, allow)),
    instruction({ code: 0x15, register: kind, offset: 2, immediate: typeCharacter }),
    ...refuse,
    ...rules,
    ...refuse,
  ]);
}

/** Allows this device unless more is asked for than it is given for; passes on otherwise. */
function allowGranted(device: GrantedDevice, allow: readonly Buffer[]): readonly Buffer[] {
  const { read, write } = device.access;
  const refused = (read ? 0 : accessRead) | (write ? 0 : accessWrite);
  const asksForMore = { code: 0x45, register: access, offset: allow.length, immediate: refused };
  const last = [...(refused === 0 ? [] : [instruction(asksForMore)]), ...allow];
  return [
    unlessEqual(kind, device.kind === 'block' ? typeBlock : typeCharacter, last.length + 2),
    unlessEqual(major, device.major, last.length + 1),
    unlessEqual(minor, device.minor, last.length),
    ...last,
  ];
}

const load = (register: number, offset: number): Buffer =>
  instruction({ code: 0x61, register, source: context, offset });
const copy = (register: number, source: number): Buffer => instruction({ code: 0xbc, register, source });
const move = (register: number, immediate: number): Buffer => instruction({ code: 0xb7, register, immediate });
const exit = (): Buffer => instruction({ code: 0x95, register: 0 });
/** Jumps over `skip` instructions unless the register has the value. */
const unlessEqual = (register: number, immediate: number, skip: number): Buffer =>
  instruction({ code: 0x55, register, offset: skip, immediate });

interface Instruction {
  readonly code: number;
  readonly register: number;
  readonly source?: number;
  readonly offset?: number;
  readonly immediate?: number;
}

function instruction({ code, register, source = 0, offset = 0, immediate = 0 }: Instruction): Buffer {
  const bytes = Buffer.alloc(instructionBytes);
  bytes.writeUInt8(code, 0);
  bytes.writeUInt8((source << 4) | register, 1);
  bytes.writeInt16LE(offset, 2);
  bytes.writeInt32LE(immediate, 4);
  return bytes;
}
