import type { RuntimeMount, RuntimeSpec } from '../src/core/executor.ts';
import { invariant } from '../src/core/error.ts';
import type { CgroupPlan } from './cgroup.ts';
import type { HelperCommand, HelperProgram } from './helper-program.ts';
import type { OciMount } from './oci-bundle.ts';
import { rootMount } from './step-program.ts';

/** What a step run by an OCI runtime needs of this machine. */
export interface OciPlan {
  /** The runtime's command line, ready to run. */
  readonly command: readonly string[];
  /** An empty directory of the host; all that the runtime is to mount lies below it, in a mount namespace of its own. */
  readonly scratch: string;
  readonly cgroup: CgroupPlan;
  readonly files: { readonly hosts: string; readonly resolvConf: string };
}

/** A helper program, and what config.json must say about the mounts it makes. */
export interface OciStep {
  readonly program: HelperProgram;
  readonly rootfs: string;
  readonly mounts: readonly OciMount[];
}

interface Prepared {
  readonly make: readonly HelperCommand[];
  readonly stub: HelperCommand;
  readonly mount: OciMount;
}

/**
 * The program that makes the root and the mounts of `spec` below `scratch` and then becomes the runtime. The helper makes the mount points,
 * since it removes them afterwards; the runtime runs in a pid namespace that dies with the helper.
 */
export function toOciProgram(spec: RuntimeSpec, plan: OciPlan): OciStep {
  const [root, proc, none] = ['0', '1', '2'];
  const mounts = [...nameFiles(plan), ...spec.mounts].map((mount, index) => prepare(mount, index * 2 + 3, plan.scratch));
  const system = ['/proc', '/sys', '/dev'].map((path): HelperCommand => ['stub', none, path, 'real-directory']);
  return {
    rootfs: `${plan.scratch}/rootfs`,
    mounts: mounts.map(({ mount }) => mount),
    program: {
      keeper: [['spawn', 'mount,pid', ''], ...plan.cgroup.after, ...plan.cgroup.directories.map((path): HelperCommand => ['rmdir', path])],
      step: [
        ['private'],
        ['scratch', plan.scratch],
        ['fs', none, 'tmpfs', '', 'fail'],
        rootMount(root, spec.root, ''),
        ['place', root, 'rootfs'],
        ...mounts.flatMap(({ make }) => make),
        ['within', root],
        ...system,
        ...mounts.map(({ stub }) => stub),
        ['settle'],
        ['fs', proc, 'proc', 'nosuid,nodev,noexec', 'fail'],
        ['cover', proc, '/proc'],
        ['exec', String(plan.command.length), ...plan.command, 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
      ],
    },
  };
}

function nameFiles({ files }: OciPlan): RuntimeMount[] {
  const file = (destination: string, text: string): RuntimeMount => ({
    type: 'file',
    destination,
    data: Buffer.from(text),
    mode: 0o644,
    uid: 0,
    gid: 0,
  });
  return [file('/etc/hosts', files.hosts), file('/etc/resolv.conf', files.resolvConf)];
}

function prepare(mount: RuntimeMount, number: number, scratch: string): Prepared {
  const [slot, tree] = [String(number), String(number + 1)];
  const { destination } = mount;
  const stub = (kind: string): HelperCommand => ['stub', slot, destination, kind];
  const bind = (name: string, access: 'read-only' | 'read-write'): OciMount => ({
    destination,
    type: 'bind',
    source: `${scratch}/${name}`,
    options: ['bind', access === 'read-only' ? 'ro' : 'rw', 'nodev'],
  });
  switch (mount.type) {
    case 'snapshot':
      return {
        make: [rootMount(tree, mount.root, ''), ['part', slot, '', tree, mount.path], ['place', slot, `mount-${slot}`]],
        stub: stub('like'),
        mount: bind(`mount-${slot}`, mount.access),
      };
    case 'bind':
      return {
        make: [['bind', slot, '', mount.source, mount.path], ['place', slot, `mount-${slot}`]],
        stub: stub('like'),
        mount: bind(`mount-${slot}`, mount.access),
      };
    case 'tmpfs': {
      const size = mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`];
      const options = ['nosuid', 'nodev', `mode=${mount.mode.toString(8)}`, ...size];
      return { make: [], stub: stub('directory'), mount: { destination, type: 'tmpfs', source: 'tmpfs', options } };
    }
    case 'file': {
      const owner = [mount.mode.toString(8), String(mount.uid), String(mount.gid)];
      const make: HelperCommand[] = [['file', slot, '', ...owner, mount.data]];
      return { make, stub: stub('file'), mount: bind(`file-${slot}`, 'read-only') };
    }
    case 'socket':
      invariant(false, 'a socket mount reached the program; the executor puts a proxy in its place');
  }
}
