/** A mounted cgroup hierarchy, and the group in it that this process belongs to. */
export interface CgroupHierarchy {
  /** The v1 controllers it carries; empty for a named v1 hierarchy, and for v2, which tells in `cgroup.controllers`. */
  readonly controllers: readonly string[];
  readonly mountPoint: string;
  /** The directory of our own group. */
  readonly own: string;
}

/** The cgroup file systems of a machine: `unified` is v2, which on hybrid machines has no controllers. */
export interface CgroupHierarchies {
  readonly v1: readonly CgroupHierarchy[];
  readonly unified: CgroupHierarchy | undefined;
}

const v1Controllers = new Set(['blkio', 'cpu', 'cpuacct', 'cpuset', 'devices', 'freezer', 'memory', 'pids']);

/** The hierarchies named by the texts of /proc/self/mountinfo and /proc/self/cgroup (cgroups(7)). */
export function parseHierarchies(mountinfo: string, cgroup: string): CgroupHierarchies {
  const paths = parseMembership(cgroup);
  const mounts = mountinfo.split('\n').flatMap((line) => parseMount(line));
  const v1 = mounts
    .filter(({ type }) => type === 'cgroup')
    .map(({ mountPoint, root, options }) => {
      const controllers = options.filter((option) => v1Controllers.has(option));
      const member = controllers[0] ?? options.find((option) => option.startsWith('name=')) ?? '';
      return { controllers, mountPoint, own: groupDirectory(mountPoint, root, paths.get(member)) };
    });
  const unified = mounts.find(({ type }) => type === 'cgroup2');
  return {
    v1,
    unified: unified && {
      controllers: [],
      mountPoint: unified.mountPoint,
      own: groupDirectory(unified.mountPoint, unified.root, paths.get('')),
    },
  };
}

/** Controller to path; the empty name is v2's. */
function parseMembership(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split('\n').flatMap((line): [string, string][] => {
      const [, names = '', ...path] = line.split(':');
      return line === '' ? [] : names.split(',').map((name): [string, string] => [name, path.join(':')]);
    }),
  );
}

function parseMount(line: string): { type: string; root: string; mountPoint: string; options: string[] }[] {
  const [before = '', after] = line.split(' - ');
  if (after === undefined) return [];
  const [, , , root = '/', mountPoint = ''] = before.split(' ').map(unescape);
  const [type = '', , options = ''] = after.split(' ');
  return [{ type, root, mountPoint, options: options.split(',') }];
}

/** mountinfo writes space, tab, newline and backslash as three octal digits. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** A mount may show only a part of the hierarchy: `root` names that part. */
function groupDirectory(mountPoint: string, root: string, path = '/'): string {
  const below = root !== '/' && (path === root || path.startsWith(`${root}/`)) ? path.slice(root.length) : path;
  return `${mountPoint}${below}`.replace(/\/+$/, '');
}
