import type { BuiltImage } from './built-image.ts';
import { contentOf, type MergedRootfs, type RootFile } from './merged-rootfs.ts';

/** One thing in which two images of one Dockerfile differ. `undefined` stands for absence. */
export interface Difference {
  /** `/path field` of a file, `config.Key` or `author`. */
  readonly at: string;
  readonly tsbuild: string | undefined;
  readonly buildah: string | undefined;
}

/** The keys of the config that are compared; empty values of any kind are the same as none. */
const CONFIG_KEYS = [
  'Env',
  'Cmd',
  'Entrypoint',
  'WorkingDir',
  'User',
  'ExposedPorts',
  'Volumes',
  'Labels',
  'StopSignal',
  'Shell',
  'Healthcheck',
  'OnBuild',
];

/** All differences, files first, by path. Times are not compared: each builder has its own clock. */
export function compareImages(tsbuild: BuiltImage, buildah: BuiltImage): readonly Difference[] {
  const [ours, theirs] = [factsOf(tsbuild), factsOf(buildah)];
  const keys = [...new Set([...ours.keys(), ...theirs.keys()])].toSorted();
  return keys
    .filter((at) => ours.get(at) !== theirs.get(at))
    .map((at) => ({ at, tsbuild: ours.get(at), buildah: theirs.get(at) }));
}

/** One line for people. */
export function formatDifference({ at, tsbuild, buildah }: Difference): string {
  return `${at}: tsbuild ${tsbuild ?? '(absent)'}, buildah ${buildah ?? '(absent)'}`;
}

/** Everything that is compared, as text, by place. */
function factsOf(image: BuiltImage): ReadonlyMap<string, string> {
  const facts = new Map<string, string>();
  const groups = hardLinkGroups(image.rootfs);
  for (const [path, file] of image.rootfs) {
    if (path === '') continue;
    for (const [field, value] of Object.entries(fieldsOf(file))) facts.set(`/${path} ${field}`, value);
    const group = groups.get(file) ?? [];
    if (group.length > 1) facts.set(`/${path} hardlinks`, group.join(' '));
  }
  for (const key of CONFIG_KEYS) {
    const value = image.config[key];
    if (!isEmpty(value)) facts.set(`config.${key}`, JSON.stringify(value, sortedKeys));
  }
  if (!isEmpty(image.author)) facts.set('author', image.author ?? '');
  return facts;
}

function fieldsOf(file: RootFile): Readonly<Record<string, string>> {
  const owner = `${file.uid}:${file.gid}`;
  const xattrs = Object.keys(file.xattrs).length === 0 ? {} : { xattrs: JSON.stringify(file.xattrs, sortedKeys) };
  if (file.type === 'symlink') return { type: file.type, owner, target: file.link, ...xattrs };
  const mode = { mode: file.mode.toString(8) };
  if (file.type === 'file') {
    return { type: file.type, ...mode, owner, size: `${file.size}`, content: contentOf(file), ...xattrs };
  }
  const device = file.device === '' ? {} : { device: file.device };
  return { type: file.type, ...mode, owner, ...device, ...xattrs };
}

function hardLinkGroups(rootfs: MergedRootfs): ReadonlyMap<RootFile, readonly string[]> {
  const groups = new Map<RootFile, string[]>();
  for (const [path, file] of rootfs) groups.set(file, [...(groups.get(file) ?? []), `/${path}`].toSorted());
  return groups;
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === '' || JSON.stringify(value).length === 2;
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
