import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeStart, encodeStep, type HelperProgram } from '../../../sandbox/helper-program.ts';
import { HelperRecordReader, type HelperRecord } from '../../../sandbox/helper-record.ts';
import { checkProgram } from '../../support/run-program.ts';
import { openTemp } from '../../support/temp.ts';
import { armPackages, type ArmPackages } from './packages.ts';

/** A program of the native helper, by the name of its upper and work directory (`/NAME-upper`, `/NAME-work`). */
export type ArmPrograms = Readonly<Record<string, HelperProgram>>;

/** C programs of the step's /bin: the source and the compiler of each. */
export type ArmTools = Readonly<Record<string, { readonly source: string; readonly compiler: string }>>;

const here = import.meta.dirname;
const native = join(here, '../../../sandbox/native');

/**
 * Runs helper programs, one after the other, on the helper as it is compiled for 64-bit Arm and on a kernel for that, which an emulated
 * processor runs. Their lowest layer is `/lower`: busybox and `tools`.
 * @returns what the helper told of each.
 */
export async function runArmPrograms(
  programs: ArmPrograms,
  tools: ArmTools,
): Promise<ReadonlyMap<string, readonly HelperRecord[]>> {
  using temp = openTemp();
  const packages = await armPackages();
  await writeTree(temp.at('tree'), packages, tools);
  for (const [name, program] of Object.entries(programs))
    await writeFile(temp.at('tree/programs', name), Buffer.concat([encodeStart(program), encodeStep(program.step)]));
  await checkProgram('sh', ['-c', 'find . | busybox cpio -o -H newc > ../initramfs'], { cwd: temp.at('tree') });
  await boot(packages.kernel, temp.at('initramfs'), temp.at('console'));
  const console = await readFile(temp.at('console'), 'utf8');
  const told = [...console.matchAll(/^@@ (\S+) (\S*)\r?$/gm)];
  if (told.length !== Object.keys(programs).length) throw new Error(`the guest ended early:\n${console}`);
  return new Map(
    told.map(([, name = '', text = '']) => [name, new HelperRecordReader().push(Buffer.from(text, 'base64'))]),
  );
}

async function writeTree(tree: string, { busybox, overlay }: ArmPackages, tools: ArmTools): Promise<void> {
  for (const folder of ['bin', 'new', 'dev', 'lib', 'programs', 'lower/bin', 'lower/etc', 'lower/tmp'])
    await mkdir(join(tree, folder), { recursive: true });
  for (const folder of ['bin', 'lower/bin']) await cp(busybox, join(tree, folder, 'busybox'));
  await checkProgram('sh', ['-c', 'for i in sh cat uname id grep echo; do ln -s busybox $i; done'], {
    cwd: join(tree, 'lower/bin'),
  });
  await cp(overlay, join(tree, 'lib/overlay.ko'));
  await cp(join(here, 'init.sh'), join(tree, 'init'));
  await chmod(join(tree, 'init'), 0o755);
  const compile = (compiler: string, target: string, sources: string): Promise<string> =>
    checkProgram('sh', ['-c', `${compiler} -O2 -Wall -Wextra -Werror -static -o ${join(tree, target)} ${sources}`]);
  await compile('aarch64-linux-gnu-gcc', 'helper', join(native, '*.c'));
  await compile('aarch64-linux-gnu-gcc', 'launch', join(here, 'launch.c'));
  for (const [name, { source, compiler }] of Object.entries(tools))
    await compile(compiler, `lower/bin/${name}`, source);
}

async function boot(kernel: string, initramfs: string, console: string): Promise<void> {
  const machine = ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'];
  // A processor that runs 32-bit programs too.
  const hardware = ['-machine', 'virt', '-accel', 'tcg', '-cpu', 'cortex-a57', '-m', '512'];
  const files = ['-kernel', kernel, '-initrd', initramfs, '-serial', `file:${console}`];
  const parameters = ['-append', 'console=ttyAMA0 loglevel=3 panic=-1 cgroup_no_v1=all'];
  await checkProgram('qemu-system-aarch64', [...machine, ...hardware, ...files, ...parameters]);
}
