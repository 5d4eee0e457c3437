import { isAbsolute, join, resolve } from 'node:path';
import type { StoreOptions } from '../build-request.ts';
import type { AnyFlag } from './flag.ts';
import { parseChoice, splitKeyValue } from './parse-key-value.ts';
import { usageError } from './usage-error.ts';

/** How progress is shown. `auto` is `tty` on a terminal, else `plain`. */
export type ProgressMode = 'auto' | 'plain' | 'tty' | 'quiet' | 'none' | 'rawjson';

/** What the flags that all commands share say. */
export interface CommonFlags extends Required<Omit<StoreOptions, 'maxUsedBytes'>> {
  readonly debug: 'yes';
}

/** What the flags of commands that take time say. */
export interface ProgressFlags {
  readonly progress: ProgressMode;
  readonly quiet: 'yes';
}

const PROGRESS: readonly ProgressMode[] = ['auto', 'plain', 'tty', 'quiet', 'none', 'rawjson'];

const last = (texts: readonly string[]): string => texts.at(-1) ?? '';
const commaLists = (texts: readonly string[]): readonly string[] =>
  texts
    .flatMap((text) => text.split(','))
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** The flags of every command. */
export const commonFlags: readonly AnyFlag<CommonFlags>[] = [
  {
    name: 'store',
    value: 'DIR',
    env: ['TSBUILD_STORE'],
    field: 'store',
    doc: 'where images, layers and caches live (default: $XDG_DATA_HOME/tsbuild, for root /var/lib/tsbuild)',
    parse: (texts) => {
      if (last(texts) === '') throw usageError('--store needs a value');
      return resolve(last(texts));
    },
  },
  {
    name: 'snapshotter',
    value: 'auto|overlay|copy',
    env: ['TSBUILD_SNAPSHOTTER'],
    field: 'snapshotter',
    doc: 'how layers are stacked (default: auto)',
    parse: (texts) => parseChoice('--snapshotter', last(texts), ['auto', 'overlay', 'copy']),
  },
  {
    name: 'runtime',
    value: 'native|NAME|PATH',
    env: ['TSBUILD_RUNTIME'],
    field: 'runtime',
    doc: 'what runs RUN steps: our own sandbox, or an OCI runtime such as runc, crun or runsc (default: native)',
    parse: (texts) => {
      if (last(texts) === '') throw usageError('--runtime needs a value');
      return last(texts);
    },
  },
  {
    name: 'sync-steps',
    field: 'syncSteps',
    doc: 'let RUN steps wait for the disk when they ask to (fsync); without it a layer is synced once, as a whole',
    parse: () => 'real',
  },
  {
    name: 'network-driver',
    value: 'auto|host|bridge|pasta|slirp4netns',
    env: ['TSBUILD_NETWORK_DRIVER'],
    field: 'networkDriver',
    doc: 'how RUN steps with the default network reach outside (default: auto, one of their own where that works, else the host’s)',
    parse: (texts) => parseChoice('--network-driver', last(texts), ['auto', 'host', 'bridge', 'pasta', 'slirp4netns']),
  },
  {
    name: 'registry-mirror',
    value: 'REGISTRY=HOST[:PORT]',
    env: ['TSBUILD_REGISTRY_MIRRORS'],
    field: 'registryMirrors',
    doc: 'ask this host before the registry itself; may be repeated',
    parse: parseMirrors,
  },
  {
    name: 'insecure-registry',
    value: 'HOST[:PORT]',
    env: ['TSBUILD_INSECURE_REGISTRIES'],
    field: 'insecureRegistries',
    doc: 'speak plain HTTP to this host (loopback: always allowed); may be repeated',
    parse: commaLists,
  },
  {
    name: 'cdi-spec-dir',
    value: 'DIR',
    env: ['TSBUILD_CDI_SPEC_DIRS'],
    field: 'cdiDirectories',
    doc: 'where the CDI specs of devices lie (default: /etc/cdi and /var/run/cdi); may be repeated',
    parse: (texts) => commaLists(texts).map((path) => resolve(path)),
  },
  { name: 'debug', short: 'D', field: 'debug', doc: 'show stacks and causes of errors', parse: () => 'yes' },
];

/** The flags of commands that show progress. */
export const progressFlags: readonly AnyFlag<ProgressFlags>[] = [
  {
    name: 'progress',
    value: PROGRESS.join('|'),
    env: ['TSBUILD_PROGRESS', 'BUILDKIT_PROGRESS'],
    field: 'progress',
    doc: 'how progress is shown on standard error (default: auto)',
    parse: (texts) => parseChoice('--progress', last(texts), PROGRESS),
  },
  {
    name: 'quiet',
    short: 'q',
    field: 'quiet',
    doc: 'show no progress; print only the result, such as the image ID',
    parse: () => 'yes',
  },
];

/** Where the store is unless a flag, a variable or the configuration names it. @throws USAGE without a home */
export function defaultStore(env: Readonly<Record<string, string | undefined>>): string {
  // Who is root in a user namespace only is an ordinary user for everybody else.
  if (process.geteuid?.() === 0 && env['TSBUILD_USER_NAMESPACE'] === undefined) return '/var/lib/tsbuild';
  const data = env['XDG_DATA_HOME'];
  // basedir-spec: a relative path there is invalid and to be ignored.
  if (data !== undefined && isAbsolute(data)) return join(data, 'tsbuild');
  const home = env['HOME'];
  if (home === undefined || !isAbsolute(home))
    throw usageError('no home directory is known: HOME is not set', 'name the store: --store DIR');
  return join(home, '.local/share/tsbuild');
}

function parseMirrors(texts: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const mirrors = new Map<string, readonly string[]>();
  for (const text of commaLists(texts)) {
    const [registry, host] = splitKeyValue('--registry-mirror', text);
    if (host === '')
      throw usageError(`--registry-mirror: no host in ${JSON.stringify(text)}`, 'write REGISTRY=HOST[:PORT]');
    mirrors.set(registry, [...(mirrors.get(registry) ?? []), host]);
  }
  return mirrors;
}
