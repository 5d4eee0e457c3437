import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { checkProgram, runProgram } from '../support/run-program.ts';
import { guestKernel, type GuestKernel } from './kernel.ts';

/** How a command ended in the guest. */
export interface GuestResult {
  /** `undefined` where the guest ended before the command did. */
  readonly status: number | undefined;
  /** Both streams of the command's output. */
  readonly output: string;
  /** What the kernel had to say. */
  readonly console: string;
}

/** How a guest is to run. */
export interface GuestOptions {
  /** Called with every piece of output as it comes. */
  readonly onOutput?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** Modules that the root file system needs; all others are loaded when they are asked for. */
const early = ['virtio_pci', '9pnet_virtio', '9p', 'overlay', 'virtio_console', 'virtio_blk'];
const diskBytes = 8 * 2 ** 30;
const memory = '3G';

/**
 * Runs a shell script as root of a virtual machine that has this machine's files under another kernel: cgroups of version 2 only, an ext4
 * at `$TMPDIR`, loopback as its only network. What it writes is gone afterwards. The processor is emulated, because KVM is not to be had
 * everywhere: it is about ten times slower.
 */
export async function runInGuest(script: string, o: GuestOptions = {}): Promise<GuestResult> {
  const kernel = await guestKernel();
  const directory = await mkdtemp(join(tmpdir(), 'tsbuild-guest-'));
  try {
    await chmod(directory, 0o755);
    await Promise.all([writeInitramfs(directory, kernel), writeDisk(directory)]);
    await cp(join(import.meta.dirname, 'start.sh'), join(directory, 'start.sh'));
    await writeFile(join(directory, 'command.sh'), `cd '${process.cwd()}'\n${script}\n`);
    for (const name of ['console', 'status']) await writeFile(join(directory, name), '');
    await symlink(kernel.modules, join(directory, 'modules'));
    // qemu shuts its stdio when standard input ends: here that is the other direction of the socket, which does not.
    const { stdout, stderr } = await runProgram('sh', ['-c', 'exec "$@" <&1', 'sh', ...machine(directory, kernel)], {
      ...(o.signal === undefined ? {} : { signal: o.signal }),
      ...(o.onOutput === undefined ? {} : { onStdout: o.onOutput }),
    });
    const read = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
    const status = /^\d+$/m.exec(await read('status'))?.[0];
    return {
      status: status === undefined ? undefined : Number(status),
      output: stdout,
      console: `${stderr}${await read('console')}`,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The kernel's messages come by a serial line, the command's output and exit status by ports that lose nothing. */
function machine(directory: string, kernel: GuestKernel): readonly string[] {
  const at = (name: string): string => join(directory, name);
  const parameters = ['console=ttyS0', 'loglevel=4', 'panic=-1', 'cgroup_no_v1=all', 'mitigations=off', directory];
  const options: readonly (readonly [name: string, value: string])[] = [
    ['display', 'none'],
    ['machine', 'q35,accel=tcg'],
    // V8 guards its code by protection keys, which are not emulated well enough: it stops now and then.
    ['cpu', 'max,pku=off'],
    ['smp', String(Math.min(4, availableParallelism()))],
    ['m', memory],
    ['kernel', kernel.image],
    ['initrd', at('initramfs')],
    ['append', parameters.join(' ')],
    ['serial', `file:${at('console')}`],
    ['device', 'virtio-serial-pci'],
    ['chardev', 'stdio,id=output'],
    ['device', 'virtserialport,nr=1,chardev=output'],
    ['chardev', `file,id=status,path=${at('status')}`],
    ['device', 'virtserialport,nr=2,chardev=status'],
    ['fsdev', 'local,id=host,path=/,security_model=none,readonly=on,multidevs=remap'],
    ['device', 'virtio-9p-pci,fsdev=host,mount_tag=host'],
    ['drive', `file=${at('disk')},format=raw,if=virtio,cache=unsafe`],
  ];
  const words = options.flatMap(([name, value]) => [`-${name}`, value]);
  return ['qemu-system-x86_64', '-nodefaults', '-no-user-config', '-no-reboot', ...words];
}

async function writeDisk(directory: string): Promise<void> {
  const disk = join(directory, 'disk');
  await writeFile(disk, '');
  await truncate(disk, diskBytes);
  await checkProgram('/sbin/mkfs.ext4', ['-q', '-F', '-O', '^has_journal', disk]);
}

/** busybox, `init.sh` and what the early modules need. */
async function writeInitramfs(directory: string, { modules, version }: GuestKernel): Promise<void> {
  const tree = join(directory, 'tree');
  const index = await readFile(join(modules, version, 'modules.dep'), 'utf8');
  for (const file of withDependencies(index, early)) {
    const target = join(tree, 'lib/modules', version, file);
    await mkdir(dirname(target), { recursive: true });
    await cp(join(modules, version, file), target);
  }
  await mkdir(join(tree, 'bin'));
  await cp('/usr/bin/busybox', join(tree, 'bin/busybox'));
  await cp(join(import.meta.dirname, 'init.sh'), join(tree, 'init'));
  await chmod(join(tree, 'init'), 0o755);
  await checkProgram('busybox', ['depmod', '-b', tree, version]);
  await checkProgram('sh', ['-c', 'find . | busybox cpio -o -H newc > ../initramfs'], { cwd: tree });
}

/** The files of the modules and of all they need, by the text of modules.dep: `FILE: NEEDED…`. */
function withDependencies(index: string, names: readonly string[]): readonly string[] {
  const needs = new Map(
    index.split('\n').map((line): [string, readonly string[]] => {
      const [file = '', needed = ''] = line.split(':');
      return [file, needed.split(' ').filter(Boolean)];
    }),
  );
  const found = new Set<string>();
  const add = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    for (const each of needs.get(file) ?? []) add(each);
  };
  for (const name of names) for (const file of needs.keys()) if (file.includes(`/${name}.ko`)) add(file);
  return [...found];
}
