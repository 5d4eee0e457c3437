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
      /^\/(dev|proc|sys|run|etc|etc\/hosts|etc\/hostname|etc\/resolv\.conf|run\/\.containerenv|run\/secrets) /.test(
        at,
      ) && tsbuild === undefined,
    where: 'everywhere',
  },
  'scratch-working-directory': {
    right: 'tsbuild',
    reason: 'the config of scratch has WorkingDir / in BuildKit and none in buildah (1.5 FROM)',
    explains: ({ at, tsbuild, buildah }) => at === 'config.WorkingDir' && tsbuild === '"/"' && buildah === undefined,
    where: 'everywhere',
  },
  'env-always-wins': {
    right: 'tsbuild',
    reason:
      'to buildah an ENV beats every ARG, as the documentation says; in BuildKit the last declaration wins (1.4.4)',
    explains: ({ at }) => /^(config\.Labels|\/out (content|size))$/.test(at),
    where: 'named',
  },
  volumes: {
    right: 'tsbuild',
    reason:
      'buildah creates the directories of VOLUME and drops what RUN changes below them, as older builders did; in BuildKit VOLUME is config only (1.5 VOLUME)',
    explains: ({ at }) => at.startsWith('/v'),
    where: 'named',
  },
  'env-of-path': {
    right: 'neither',
    reason: 'buildah moves a variable that ENV sets again to the end; BuildKit replaces it in place (1.5 ENV)',
    explains: ({ at, tsbuild, buildah }) => at === 'config.Env' && sorted(tsbuild) === sorted(buildah),
    where: 'named',
  },
  'expose-texts': {
    right: 'tsbuild',
    reason: 'buildah keeps ranges and the case of protocols as they are written (1.5 EXPOSE)',
    explains: ({ at }) => at === 'config.ExposedPorts',
    where: 'named',
  },
  'process-id': {
    right: 'tsbuild',
    reason: 'with --isolation=chroot, which works everywhere, buildah gives a step no process ids of its own',
    explains: ({ at }) => /^\/w\/out (content|size)$/.test(at),
    where: 'named',
  },
  'mount-places': {
    right: 'tsbuild',
    reason: 'buildah takes away only the last directory that it made to mount on; BuildKit all that are empty (1.7)',
    explains: ({ at, tsbuild }) => tsbuild === undefined && at.startsWith('/a/b '),
    where: 'named',
  },
  'special-bits': {
    right: 'tsbuild',
    reason: 'buildah drops setuid and setgid bits of files of the context; BuildKit keeps them (1.6 Metadata)',
    explains: ({ at, buildah }) => at.endsWith(' mode') && /^7?[0-7]{3}$/.test(buildah ?? ''),
    where: 'named',
  },
  'link-as-destination': {
    right: 'tsbuild',
    reason:
      'buildah replaces a link to a file; BuildKit follows a destination inside the image (1.6 Dest rule, trap 9)',
    explains: ({ at }) => /^\/[lt] /.test(at),
    where: 'named',
  },
  'archive-root': {
    right: 'tsbuild',
    reason:
      'buildah gives the destination the attributes of the archive\'s "."; in BuildKit it keeps its own (1.6 ADD tar)',
    explains: ({ at }) => /^\/(new|there) (mode|owner)$/.test(at),
    where: 'named',
  },
  'archive-owner': {
    right: 'tsbuild',
    reason: 'buildah unpacks archives with their own owners whatever --chown says; BuildKit obeys it (1.6 ADD tar)',
    explains: ({ at }) => at === '/x/a owner' || at === '/x owner',
    where: 'named',
  },
  'rooted-ignore-pattern': {
    right: 'tsbuild',
    reason:
      'a pattern with white space and a slash before it matches nothing in buildah; BuildKit takes both off (1.8 Syntax)',
    explains: ({ at, tsbuild }) => tsbuild === undefined && at.startsWith('/x/top '),
    where: 'named',
  },
  'links-across-steps': {
    right: 'tsbuild',
    reason:
      'without --layers buildah runs all steps in one container, so that hard links into earlier steps hold; overlayfs splits them (trap 15)',
    explains: ({ at }) => /^\/(a|b|d\/e) (hardlinks|content|size)$/.test(at),
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

function sorted(json: string | undefined): string {
  const list: unknown = JSON.parse(json ?? '[]');
  return JSON.stringify(Array.isArray(list) ? list.toSorted() : list);
}
