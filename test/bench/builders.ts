import { mkdir, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { checkProgram } from '../support/run-program.ts';

/** One build, in words that every builder has. */
export interface BenchBuild {
  readonly context: string;
  readonly cache: 'use' | 'ignore';
  /** `store`: an image among the builder's own. */
  readonly output: 'store' | { readonly archive: string; readonly compression: 'gzip' | 'zstd' };
}

/** A builder under measurement, with a store of its own. */
export interface Builder {
  readonly name: string;
  readonly version: readonly string[];
  /** What one build is, as one command or several that follow one another. */
  commands(build: BenchBuild): readonly (readonly string[])[];
  /** Reads the whole store and fails where something is damaged; empty for a builder that cannot. */
  readonly verify: readonly string[];
  /** An empty store that has the base images. */
  reset(): Promise<void>;
}

const tsbuild = [process.execPath, resolve(import.meta.dirname, '../../dist/tsbuild.js')];

/** tsbuild as it is in dist/. */
export function tsbuildBuilder(work: string, baseLayout: string): Builder {
  const store = join(work, 'tsbuild');
  return {
    name: 'tsbuild',
    version: [...tsbuild, '--version'],
    verify: [...tsbuild, 'verify-store', '--store', store],
    commands: ({ context, cache, output }) => {
      const flags = ['--store', store, '--progress=plain', ...(cache === 'ignore' ? ['--no-cache'] : [])];
      return [[...tsbuild, 'build', ...flags, ...tsbuildOutput(output), context]];
    },
    reset: async () => {
      await rm(store, { recursive: true, force: true });
      await checkProgram(tsbuild[0] ?? '', [...tsbuild.slice(1), 'load', '--store', store, '--input', baseLayout]);
    },
  };
}

function tsbuildOutput(output: BenchBuild['output']): readonly string[] {
  if (output === 'store') return ['-t', 'bench'];
  return ['-o', `type=oci,dest=${output.archive},compression=${output.compression}`];
}

/** buildah with the overlay driver, runc and the host's network, in storage of its own. */
export function buildahBuilder(work: string, baseLayout: string): Builder {
  const storage = [
    '--root',
    join(work, 'buildah'),
    '--runroot',
    join(work, 'buildah-run'),
    '--storage-driver',
    'overlay',
  ];
  return {
    name: 'buildah',
    version: ['buildah', '--version'],
    verify: [],
    commands: ({ context, cache, output }) => {
      const flags = [
        '--layers',
        '--network=host',
        '--runtime=runc',
        '--pull-never',
        ...(cache === 'ignore' ? ['--no-cache'] : []),
      ];
      const build = ['buildah', ...storage, 'build', ...flags, '-t', 'bench', context];
      if (output === 'store') return [build];
      const compression = ['--compression-format', output.compression];
      return [
        build,
        ['buildah', ...storage, 'push', '--quiet', ...compression, 'bench', `oci-archive:${output.archive}`],
      ];
    },
    reset: async () => {
      await checkProgram('buildah', [...storage, 'rm', '--all']);
      await checkProgram('buildah', [...storage, 'rmi', '--all', '--force']);
      await mkdir(join(work, 'buildah'), { recursive: true });
      // buildah takes the layout's path for an image name, in which capitals are not allowed: hence a relative one.
      const pull = [...storage, 'pull', '--quiet', `oci:${basename(baseLayout)}:latest`];
      const id = (await checkProgram('buildah', pull, { cwd: dirname(baseLayout) })).trim();
      await checkProgram('buildah', [...storage, 'tag', id, 'docker.io/library/busybox:latest']);
    },
  };
}
