import * as v from 'valibot';
import { FormatError } from '../src/oci/format-error.ts';

/** What a container gets with a device (CDI's `containerEdits`), as far as a build can give it. */
export interface CdiEdits {
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly deviceNodes: readonly CdiNode[];
  readonly mounts: readonly CdiMount[];
  readonly gids: readonly number[];
  /** What else it asks for, by CDI's names: no build gives that. */
  readonly unsupported: readonly string[];
}

/** A device node; what is absent is the host's. */
export interface CdiNode {
  readonly path: string;
  readonly hostPath: string;
  /** Of `rwm`. */
  readonly permissions: string;
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** A file or directory of the host. */
export interface CdiMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly access: 'read-only' | 'read-write';
}

/** One file of the Container Device Interface (CDI 0.3 to 1.x). */
export interface CdiSpec {
  /** `vendor/class`. */
  readonly kind: string;
  /** By name, in the file's order; the edits of the whole file are not among a device's own. */
  readonly devices: ReadonlyMap<string, CdiEdits>;
  readonly edits: CdiEdits;
}

const absolute = v.pipe(v.string(), v.regex(/^\/[^\0]*$/, 'a path has to be absolute'));
const id = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));

const deviceNode = v.object({
  path: absolute,
  hostPath: v.optional(absolute),
  permissions: v.optional(v.pipe(v.string(), v.regex(/^[rwm]*$/, 'permissions are made of r, w and m'))),
  fileMode: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0o7777))),
  uid: v.optional(id),
  gid: v.optional(id),
});

const mount = v.object({
  hostPath: absolute,
  containerPath: absolute,
  type: v.optional(v.string()),
  options: v.optional(v.array(v.string())),
});

/** Whatever CDI may come to have besides is noticed: a device must not be given without what it needs. */
const containerEdits = v.objectWithRest(
  {
    env: v.optional(v.array(v.pipe(v.string(), v.regex(/^[^=\0]+=[^\0]*$/, 'a variable is NAME=value')))),
    deviceNodes: v.optional(v.array(deviceNode)),
    mounts: v.optional(v.array(mount)),
    additionalGids: v.optional(v.array(id)),
  },
  v.unknown(),
);

const document = v.object({
  cdiVersion: v.pipe(v.string(), v.regex(/^v?[01]\.\d+\.\d+$/, 'this version of CDI is not known')),
  kind: v.pipe(v.string(), v.regex(/^[a-zA-Z][\w.-]*\/[a-zA-Z][\w-]*$/, 'a kind is vendor/class')),
  devices: v.array(
    v.object({
      name: v.pipe(v.string(), v.regex(/^[a-zA-Z0-9][\w.:-]*$/, 'a device has a name of letters, digits and _.:-')),
      containerEdits: v.optional(containerEdits, {}),
    }),
  ),
  containerEdits: v.optional(containerEdits, {}),
});

/** The spec that a decoded JSON or YAML document is. @throws FormatError */
export function decodeCdiSpec(value: unknown): CdiSpec {
  const result = v.safeParse(document, value);
  if (!result.success) {
    const [issue] = result.issues;
    throw new FormatError(`${v.getDotPath(issue) ?? 'the document'}: ${issue.message}`);
  }
  const { kind, devices, containerEdits: edits } = result.output;
  const byName = new Map(devices.map((device) => [device.name, editsOf(device.containerEdits)]));
  if (byName.size < devices.length) throw new FormatError('devices: two have one name');
  return { kind, devices: byName, edits: editsOf(edits) };
}

function editsOf(edits: v.InferOutput<typeof containerEdits>): CdiEdits {
  const { env = [], deviceNodes = [], mounts = [], additionalGids = [], ...others } = edits;
  const foreign = mounts.flatMap(({ type }) => (isBind(type) ? [] : [`a mount of type ${type}`]));
  return {
    env,
    deviceNodes: deviceNodes.map(nodeOf),
    mounts: mounts.filter(({ type }) => isBind(type)).map(mountOf),
    gids: additionalGids.filter((gid) => gid !== 0),
    unsupported: [...Object.keys(others).filter((name) => !isEmpty(others[name])), ...foreign],
  };
}

function isBind(type: string | undefined): boolean {
  return type === undefined || ['', 'bind', 'none'].includes(type);
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0);
}

function nodeOf({ path, hostPath, permissions, fileMode, uid, gid }: v.InferOutput<typeof deviceNode>): CdiNode {
  return {
    path,
    hostPath: hostPath ?? path,
    permissions: permissions === undefined || permissions === '' ? 'rwm' : permissions,
    ...(fileMode !== undefined && { fileMode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  };
}

function mountOf({ hostPath, containerPath, options = [] }: v.InferOutput<typeof mount>): CdiMount {
  return { hostPath, containerPath, access: options.includes('ro') ? 'read-only' : 'read-write' };
}
