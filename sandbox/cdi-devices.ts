import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { splitDeviceNumber } from '../src/core/device-number.ts';
import type { Devices, StepDevices } from '../src/core/devices.ts';
import { BuildError, isErrno, messageOf } from '../src/core/error.ts';
import type { RuntimeMount } from '../src/core/executor.ts';
import type { ExecOp } from '../src/core/graph.ts';
import { FormatError } from '../src/oci/format-error.ts';
import { decodeCdiSpec, type CdiEdits, type CdiMount, type CdiNode, type CdiSpec } from './cdi-spec.ts';

/** Where CDI specs lie; what a later directory has counts more. */
const cdiDirectories: readonly string[] = ['/etc/cdi', '/var/run/cdi'];

type Wish = ExecOp['devices'][number];

/** A device and the files' edits that go with it. */
interface KnownDevice {
  readonly name: string;
  readonly file: string;
  readonly spec: CdiSpec;
  readonly edits: CdiEdits;
}

/** All that was found: broken files do no harm to the devices of others, and are told of where one is missing. */
interface Registry {
  readonly devices: ReadonlyMap<string, KnownDevice>;
  readonly flaws: readonly string[];
}

/** The devices that the specs in these directories name. They are read when a step first wants one. */
export function openCdiDevices(directories: readonly string[] = cdiDirectories): Devices {
  let registry: Promise<Registry> | undefined;
  return {
    find: async (wanted) => {
      registry ??= readRegistry(directories);
      const known = await registry;
      const found = wanted.flatMap((wish) => select(wish, known, directories));
      return collect([...new Map(found.map((device) => [device.name, device])).values()]);
    },
  };
}

function select(wish: Wish, { devices, flaws }: Registry, directories: readonly string[]): readonly KnownDevice[] {
  const [kind = '', name = ''] = wish.name.split(/=(.*)/s);
  const ofKind = [...devices.values()].filter(({ spec }) => spec.kind === kind);
  const wanted = devices.get(wish.name);
  const found = name === '' ? ofKind.slice(0, 1) : name === '*' ? ofKind : wanted === undefined ? [] : [wanted];
  if (found.length > 0 || wish.presence === 'optional') return found;
  const known = [...devices.keys()];
  const hint = flaws.length > 0 ? { hint: flaws.join('; ') } : {};
  throw new BuildError('DEVICE_NOT_FOUND', { name: wish.name, directories, known }, hint);
}

/** A file's own edits come once, before those of its devices. */
async function collect(devices: readonly KnownDevice[]): Promise<StepDevices> {
  const edits = [...new Set(devices.map(({ spec }) => spec))].flatMap((spec) => {
    const own = devices.filter((device) => device.spec === spec);
    return [spec.edits, ...own.map((device) => device.edits)].map((each) => ({ ...each, device: own[0] }));
  });
  const mounts: RuntimeMount[] = [];
  for (const { deviceNodes, mounts: files, unsupported, device } of edits) {
    const { name = '', file = '' } = device ?? {};
    const [first] = unsupported;
    if (first !== undefined)
      throw new BuildError('DEVICE_INVALID', { name, file, reason: `it needs ${first}, which builds do not give` });
    for (const node of deviceNodes) mounts.push(await deviceMount(node, { name, file }));
    mounts.push(...files.map(fileMount));
  }
  return {
    names: devices.map(({ name }) => name),
    mounts,
    env: edits.flatMap(({ env }) => env),
    gids: edits.flatMap(({ gids }) => gids),
  };
}

async function deviceMount(
  node: CdiNode,
  about: { readonly name: string; readonly file: string },
): Promise<RuntimeMount> {
  const { path, hostPath, permissions, fileMode } = node;
  try {
    const source = await realpath(hostPath);
    const info = await stat(source, { bigint: true });
    if (!info.isCharacterDevice() && !info.isBlockDevice())
      throw new BuildError('DEVICE_INVALID', { ...about, reason: `${hostPath} is no device` });
    return {
      type: 'device',
      source,
      destination: path,
      kind: info.isBlockDevice() ? 'block' : 'character',
      ...splitDeviceNumber(info.rdev),
      access: {
        read: permissions.includes('r'),
        write: permissions.includes('w'),
        mknod: permissions.includes('m'),
      },
      mode: fileMode ?? Number(info.mode & 0o7777n),
      uid: node.uid ?? Number(info.uid),
      gid: node.gid ?? Number(info.gid),
    };
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error;
    throw new BuildError('DEVICE_INVALID', { ...about, reason: messageOf(error) }, { cause: error });
  }
}

function fileMount({ hostPath, containerPath, access }: CdiMount): RuntimeMount {
  return { type: 'bind', source: hostPath, path: '', destination: containerPath, access };
}

async function readRegistry(directories: readonly string[]): Promise<Registry> {
  const read = await Promise.all(directories.map(readDirectory));
  return {
    devices: new Map(read.flatMap(({ devices }) => [...devices])),
    flaws: read.flatMap(({ flaws }) => flaws),
  };
}

async function readDirectory(directory: string): Promise<Registry> {
  const devices = new Map<string, KnownDevice>();
  const flaws: string[] = [];
  for (const file of await specFiles(directory)) {
    try {
      for (const device of devicesOf(await readSpec(file), { file, known: devices })) devices.set(device.name, device);
    } catch (error) {
      if (!(error instanceof FormatError) && !isErrno(error, 'EACCES', 'EISDIR', 'ENOENT')) throw error;
      flaws.push(`${file}: ${messageOf(error)}`);
    }
  }
  return { devices, flaws };
}

/** Of two files of one directory that name a device, the first in their order counts. @throws FormatError for the second */
function devicesOf(
  spec: CdiSpec,
  { file, known }: { readonly file: string; readonly known: ReadonlyMap<string, KnownDevice> },
): readonly KnownDevice[] {
  const devices = [...spec.devices].map(([short, edits]) => ({ name: `${spec.kind}=${short}`, file, spec, edits }));
  const other = devices.map(({ name }) => known.get(name)).find((device) => device !== undefined);
  if (other !== undefined) throw new FormatError(`${other.file} has ${other.name} as well`);
  return devices;
}

/** The paths of specs in a directory, by name; none where there is no such directory. */
async function specFiles(directory: string): Promise<readonly string[]> {
  try {
    const names = await readdir(directory);
    return names
      .filter((name) => /\.(?:json|yaml)$/.test(name))
      .toSorted()
      .map((name) => join(directory, name));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return [];
    throw error;
  }
}

async function readSpec(file: string): Promise<CdiSpec> {
  const text = await readFile(file, 'utf8');
  if (file.endsWith('.json')) return decodeCdiSpec(parseJson(text));
  const { parseYaml } = await import('./parse-yaml.ts');
  return decodeCdiSpec(parseYaml(text));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new FormatError(error.message, { cause: error });
  }
}
