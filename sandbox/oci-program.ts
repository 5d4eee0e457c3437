import type { RuntimeMount, RuntimeSpec } from '../src/core/executor.ts';
import type { CgroupPlan } from './cgroup.ts';
import type { HelperCommand, HelperProgram, HelperStart } from './helper-program.ts';
import type { ReplacedFile } from './limited-view.ts';
import { mountSource, nameFileMounts, rootSource, SlotCounter, textMount, type MountSource } from './mount-source.ts';
import type { NetworkPlan } from './network.ts';
import { systemPath, type OciRuntime } from './oci-runtime.ts';
import { ownDev } from './own-dev.ts';
import { noCoreDumps } from './rlimits.ts';
import type { OciMount } from './runtime-needs.ts';
import { thawToKill, toStepStart } from './step-starts.ts';
import { workingDirectory } from './step-program.ts';

/** What a step run by an OCI runtime needs of this machine. */
export interface OciPlan {
  /** The runtime's command line, ready to run. */
  readonly command: readonly string[];
  /** An empty directory of the host; all that the runtime is to mount lies below it, in a mount namespace of its own. */
  readonly scratch: string;
  readonly cgroup: CgroupPlan;
  readonly cgroupMaker: OciRuntime['cgroup'];
  readonly network: NetworkPlan;
  readonly files: { readonly hosts: string; readonly resolvConf: string };
  /** Files of /proc and /sys that follow the step's limits. */
  readonly view: readonly ReplacedFile[];
  /** Directories that are to look empty to the runtime. */
  readonly hidden: readonly string[];
}

interface OciMountSource extends MountSource {
  readonly destination: string;
}

/** A helper program, and what config.json must say about the mounts it makes. */
export interface OciStep {
  readonly program: HelperProgram;
  readonly rootfs: string;
  readonly mounts: readonly OciMount[];
}

/**
 * The program that makes the root and the mounts of `spec` below `scratch` and then becomes the runtime. The helper makes the mount points,
 * since it removes them afterwards; the runtime runs in a pid namespace that dies with the helper.
 */
export function toOciProgram(spec: RuntimeSpec, plan: OciPlan): OciStep {
  const slots = new SlotCounter();
  const [root, proc] = [slots.next(), slots.next()];
  const mounts = [...nameFileMounts(plan.files), ...ownDev(spec.mounts).mounts].map((mount) => mountOf(mount, slots));
  // Over files of the runtime's own /proc and /sys, which are there: these need no mount point.
  const all = [...plan.view.map(({ path, text }) => mountOf(textMount(path, text, 0o444), slots)), ...mounts];
  const system = ['/proc', '/sys', '/dev'].map((path): HelperCommand => ['stub', root, path, 'real-directory']);
  const hidden = plan.hidden.flatMap((path) => hide(path, slots.next()));
  const { scratch, network, command } = plan;
  return {
    rootfs: `${scratch}/rootfs`,
    mounts: all.map((mount) => bindMount(scratch, mount)),
    program: {
      ...startOf(plan),
      step: [
        ...network.join,
        ...(plan.cgroupMaker === 'helper' ? plan.cgroup.limits(spec.resources) : []),
        ['private'],
        ['scratch', scratch],
        rootSource(root, spec.root, ''),
        ['place', root, 'rootfs'],
        ...all.flatMap(({ slot, make }): HelperCommand[] => [...make, ['place', slot, `mount-${slot}`]]),
        ['within', root],
        workingDirectory(spec),
        ...system,
        ...mounts.map(({ slot, destination, kind }): HelperCommand => ['stub', slot, destination, kind]),
        ['settle'],
        ['fs', proc, 'proc', 'nosuid,nodev,noexec', 'fail'],
        ['cover', proc, '/proc'],
        ...hidden,
        noCoreDumps,
        ['exec', String(command.length), ...command, `PATH=${systemPath}`],
      ],
    },
  };
}

function startOf({ cgroup, cgroupMaker }: OciPlan): HelperStart {
  const born = ['mount', 'pid', 'time'] as const;
  if (cgroupMaker === 'helper') return toStepStart(cgroup, born);
  const made = cgroup.directories.map((path): HelperCommand => ['rmdir', path]);
  return {
    keeper: [...thawToKill(cgroup), ['spawn', born.join(','), ''], ...cgroup.after, ...made],
    prelude: [],
  };
}

function hide(path: string, slot: string): HelperCommand[] {
  return [
    ['fs', slot, 'tmpfs', 'nosuid,nodev,noexec', 'fail'],
    ['cover', slot, path],
  ];
}

function mountOf(mount: RuntimeMount, slots: SlotCounter): OciMountSource {
  return { destination: mount.destination, ...mountSource(mount, 'nodev', slots) };
}

/** With all attributes: runc leaves those that the source has, crun takes away what is not named. */
function bindMount(scratch: string, { slot, destination, attributes }: OciMountSource): OciMount {
  const options = ['bind', ...attributes.split(',').filter(Boolean)];
  return { destination, type: 'bind', source: `${scratch}/mount-${slot}`, options };
}
