import type { RuntimeMount } from '../src/core/executor.ts';
import { invariant } from '../src/core/error.ts';
import type { RootMount } from '../src/core/snapshot.ts';
import type { HelperCommand } from './helper-program.ts';

/** The slots of one helper program, numbered from 0. */
export class SlotCounter {
  #last = -1;

  next(): string {
    this.#last += 1;
    return String(this.#last);
  }
}

/** What a mount needs before it can be attached: the commands that put it into `slot`, and what its mount point must be. */
export interface MountSource {
  readonly slot: string;
  readonly make: readonly HelperCommand[];
  readonly kind: 'file' | 'directory' | 'like';
  /** Those that the mount has then, for who mounts it once more. */
  readonly attributes: string;
}

/** A root as a detached mount in `slot`. */
export function rootSource(slot: string, root: RootMount, attributes: string): HelperCommand {
  if (root.type === 'bind') {
    return ['bind', slot, root.access === 'read-only' ? `ro,${attributes}` : attributes, root.source, ''];
  }
  return ['overlay', slot, attributes, root.xattrs, root.upper ?? '', root.work ?? '', ...root.lower];
}

/** The mount attribute that keeps device nodes shut, where nothing else does. */
export type DeviceAttribute = 'nodev' | 'nodev-unless-filtered' | '';

/** The command that puts a device node into `slot`. */
export function deviceNode(
  slot: string,
  {
    source,
    kind,
    major,
    minor,
    mode,
    uid,
    gid,
  }: Omit<Extract<RuntimeMount, { type: 'device' }>, 'type' | 'destination' | 'access'>,
): HelperCommand {
  return ['device', slot, source, kind, String(major), String(minor), mode.toString(8), String(uid), String(gid)];
}

/** A mount of the spec, made detached. */
export function mountSource(mount: RuntimeMount, devices: DeviceAttribute, slots: SlotCounter): MountSource {
  const slot = slots.next();
  const accessible = (access: 'read-only' | 'read-write'): string =>
    access === 'read-only' ? `ro,${devices}` : devices;
  const withoutPrivileges = 'nosuid,nodev';
  switch (mount.type) {
    case 'snapshot': {
      const tree = slots.next();
      const attributes = accessible(mount.access);
      const part: HelperCommand = ['part', slot, attributes, tree, mount.path];
      return { slot, make: [rootSource(tree, mount.root, ''), part], kind: 'like', attributes };
    }
    case 'bind': {
      const attributes = accessible(mount.access);
      return { slot, make: [['bind', slot, attributes, mount.source, mount.path]], kind: 'like', attributes };
    }
    case 'tmpfs': {
      const size = mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`];
      const make: HelperCommand = [
        'fs',
        slot,
        'tmpfs',
        withoutPrivileges,
        'fail',
        `mode=${mount.mode.toString(8)}`,
        ...size,
      ];
      return { slot, make: [make], kind: 'directory', attributes: withoutPrivileges };
    }
    case 'file': {
      const owner = [mount.mode.toString(8), String(mount.uid), String(mount.gid)];
      const attributes = `ro,${withoutPrivileges}`;
      return { slot, make: [['file', slot, attributes, ...owner, mount.data]], kind: 'file', attributes };
    }
    case 'device':
      return { slot, make: [deviceNode(slot, mount)], kind: 'file', attributes: 'nosuid,noexec' };
    case 'socket':
      invariant(false, 'a socket mount reached the program; the executor puts a proxy in its place');
  }
}

/** /etc/hosts and /etc/resolv.conf: in memory and read-only. */
export function nameFileMounts(files: {
  readonly hosts: string;
  readonly resolvConf: string;
}): readonly RuntimeMount[] {
  return [textMount('/etc/hosts', files.hosts, 0o644), textMount('/etc/resolv.conf', files.resolvConf, 0o644)];
}

/** A file that root owns. */
export function textMount(destination: string, text: string, mode: number): RuntimeMount {
  return { type: 'file', destination, data: Buffer.from(text), mode, uid: 0, gid: 0 };
}
