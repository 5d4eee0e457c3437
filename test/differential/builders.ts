import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeBusyboxLayout } from '../support/busybox-image.ts';
import { openRig } from '../support/rig.ts';
import { checkProgram, type ProgramResult, runProgram } from '../support/run-program.ts';
import { type BuiltImage, readDirImage, readLayoutImage } from './built-image.ts';

/** A build as both builders understand it. */
export interface BuildInputs {
  readonly context: string;
  /** Flags that mean the same to both. */
  readonly args: readonly string[];
  /** Where to put the result; must not exist. */
  readonly output: string;
}

/** What a builder made of it. */
export interface BuildOutcome extends ProgramResult {
  /** `undefined` if the build failed. */
  readonly image: BuiltImage | undefined;
}

/** A program that builds images, with a store of its own that has `busybox`. */
export interface Builder {
  build(inputs: BuildInputs): Promise<BuildOutcome>;
  /** Builds an image into its own store, for other Dockerfiles to start from. */
  keep(o: { readonly context: string; readonly file: string; readonly name: string }): Promise<void>;
}

/** The two builders that are compared, and a directory for contexts and results. */
export interface Builders extends AsyncDisposable {
  readonly work: string;
  readonly tsbuild: Builder;
  readonly buildah: Builder;
}

/** What a person's environment could change in either. */
const NO_PROXIES = Object.fromEntries(
  ['http', 'https', 'ftp', 'no', 'all'].flatMap((name) =>
    [`${name}_proxy`, `${name}_proxy`.toUpperCase()].map((variable) => [variable, undefined]),
  ),
);

/** Opens both with empty stores and gives them the same busybox. */
export async function openBuilders(): Promise<Builders> {
  await using cleanup = new AsyncDisposableStack();
  const rig = cleanup.use(await openRig());
  const folder = await mkdtemp(join(tmpdir(), 'tsbuild-buildah-'));
  cleanup.defer(async () => {
    // buildah leaves a bind mount of the directory on itself, and that of a container if a build failed.
    await runProgram('umount', ['--recursive', '--quiet', join(folder, 'root/overlay')]);
    await rm(folder, { recursive: true, force: true });
  });
  const base = join(folder, 'busybox');
  await writeBusyboxLayout(base, 'docker.io/library/busybox:latest');
  await rig.succeed(['load', '--quiet', '--input', base]);
  const [root, runRoot] = [join(folder, 'root'), join(folder, 'run')];
  const storage = `containers-storage:[overlay@${root}+${runRoot}]docker.io/library/busybox:latest`;
  await checkProgram('skopeo', ['copy', '--quiet', `oci:${base}:latest`, storage]);
  const kept = cleanup.move();
  return {
    work: rig.work,
    tsbuild: tsbuildBuilder((args) => rig.run(args, { env: NO_PROXIES })),
    buildah: buildahBuilder(['--root', root, '--runroot', runRoot, '--storage-driver', 'overlay']),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function tsbuildBuilder(run: (args: readonly string[]) => Promise<ProgramResult>): Builder {
  const plain = ['build', '--progress=plain'];
  return {
    build: async ({ context, args, output }) => {
      const result = await run([...plain, '-t', 'case:1', '-o', `type=oci,tar=false,dest=${output}`, ...args, context]);
      return { ...result, image: result.status === 0 ? await readLayoutImage(output) : undefined };
    },
    keep: async ({ context, file, name }) => {
      const { status, stderr } = await run([...plain, '-t', name, '-f', file, context]);
      if (status !== 0) throw new Error(`tsbuild could not build ${name}:\n${stderr}`);
    },
  };
}

/** `--format docker`: in OCI format buildah leaves out HEALTHCHECK, ONBUILD and SHELL. */
function buildahBuilder(storage: readonly string[]): Builder {
  const fixed = ['--isolation=chroot', '--layers=false', '--pull-never', '--format=docker', '--identity-label=false'];
  const command = [...storage, 'build', ...fixed];
  return {
    build: async ({ context, args, output }) => {
      const result = await runProgram('buildah', [...command, '-t', `dir:${output}`, ...args, context], {
        env: NO_PROXIES,
      });
      return { ...result, image: result.status === 0 ? await readDirImage(output) : undefined };
    },
    keep: async ({ context, file, name }) => {
      await checkProgram('buildah', [...command, '-t', name, '-f', file, context], { env: NO_PROXIES });
    },
  };
}
