import type { Difference } from './compare-images.ts';

/** A way in which buildah's result is known to be another one. */
export interface Deviation {
  /** Who does what dockerfile.md says. `neither`: the language leaves it open. */
  readonly right: 'tsbuild' | 'buildah' | 'neither';
  readonly reason: string;
  /** Whether it explains this difference. */
  readonly explains: (difference: Difference) => boolean;
  /** `everywhere`: it may show in any case; `named`: only in the cases that name it, and there it must. */
  readonly where: 'everywhere' | 'named';
}

/** Every known deviation, by name. */
export const DEVIATIONS = {
  'mount-stubs': {
    right: 'tsbuild',
    reason:
      'buildah leaves the places in the image where it mounted something during RUN; BuildKit takes away what is still empty (1.7)',
    explains: ({ at, tsbuild }) =>
      /^\/(dev|proc|sys|run|etc|etc\/hosts|etc\/hostname|etc\/resolv\.conf|run\/\.containerenv|run\/secrets) /.test(at) &&
      tsbuild === undefined,
    where: 'everywhere',
  },
  'scratch-working-directory': {
    right: 'tsbuild',
    reason: 'the config of scratch has WorkingDir / in BuildKit and none in buildah (1.5 FROM)',
    explains: ({ at, tsbuild, buildah }) =>
      at === 'config.WorkingDir' && tsbuild === '"/"' && buildah === undefined,
    where: 'everywhere',
  },
  'env-always-wins': {
    right: 'tsbuild',
    reason: 'to buildah an ENV beats every ARG, as the documentation says; in BuildKit the last declaration wins (1.4.4)',
    explains: ({ at }) => /^(config\.Labels|\/out (content|size))$/.test(at),
    where: 'named',
  },
  volumes: {
    right: 'tsbuild',
    reason: 'buildah creates the directories of VOLUME, as older builders did; BuildKit writes the config only (1.5 VOLUME)',
    explains: ({ at, tsbuild }) => tsbuild === undefined && at.startsWith('/v'),
    where: 'named',
  },
  'workdir-owner': {
    right: 'tsbuild',
    reason: 'in buildah a directory of WORKDIR belongs to root; in BuildKit to USER, with its new parents (1.5 WORKDIR)',
    explains: ({ at }) => /^\/(there|num|pair)\S* owner$/.test(at),
    where: 'named',
  },
  'onbuild-of-stages': {
    right: 'tsbuild',
    reason: 'buildah does not run the ONBUILD triggers of a stage where that is a base (1.5 ONBUILD)',
    explains: ({ at }) => at === 'config.OnBuild' || at.startsWith('/count '),
    where: 'named',
  },
  'escaped-escape': {
    right: 'tsbuild',
    reason: 'buildah continues a line that ends in an escaped backslash; BuildKit does not (1.1.3)',
    explains: ({ at }) => at === 'config.Labels',
    where: 'named',
  },
  'arg-lines-of-several': {
    right: 'tsbuild',
    reason: 'buildah 1.28 takes one ARG per line only; in BuildKit each sees those before it (1.3 same-line rule)',
    explains: ({ at }) => at === 'config.Labels',
    where: 'named',
  },
  'arg-not-inherited': {
    right: 'tsbuild',
    reason: 'in buildah a stage does not inherit the ARGs of the stage it starts from (1.4.3)',
    explains: ({ at }) => /^(config\.Labels|\/out (content|size))$/.test(at),
    where: 'named',
  },
  'shell-of-cmd': {
    right: 'tsbuild',
    reason: 'buildah forgets SHELL for CMD and ENTRYPOINT in some forms; in BuildKit it prefixes both (1.5 SHELL)',
    explains: ({ at }) => at === 'config.Cmd' || at === 'config.Entrypoint',
    where: 'named',
  },
} as const satisfies Readonly<Record<string, Deviation>>;

/** A name in `DEVIATIONS`. */
export type DeviationName = keyof typeof DEVIATIONS;
