import type { BuildRequest, Output } from '../build-request.ts';
import type { AnyFlag } from './flag.ts';
import { parseAddHost } from './parse-add-host.ts';
import { parseCacheFrom, parseCacheTo } from './parse-cache.ts';
import { parseCall, type Call } from './parse-call.ts';
import { parseAnnotations, parseBuildArgs, parseChoice, parseKeyValues, parseLabels } from './parse-key-value.ts';
import { parseOutput } from './parse-output.ts';
import { parsePlatforms } from './parse-platforms.ts';
import { parseResources } from './parse-resources.ts';
import { parseSecret, parseSsh } from './parse-secret.ts';
import { parseSize } from './parse-size.ts';
import { parseUlimit } from './parse-ulimit.ts';
import { usageError } from './usage-error.ts';

/** Fields of the request that one flag fills as they are. */
type RequestFields = Required<
  Pick<
    BuildRequest,
    | ('tags' | 'target' | 'buildArgs' | 'buildContexts' | 'labels' | 'platforms' | 'pull' | 'network' | 'addHosts')
    | ('cacheFrom' | 'cacheTo')
    | ('shmSizeBytes' | 'ulimits' | 'cgroupParent' | 'resources' | 'allow' | 'secrets' | 'ssh' | 'compat')
  >
>;

/** What the flags of `build` say; `toBuildRequest` makes the request of it. */
export interface BuildFlags extends RequestFields {
  readonly file: string;
  readonly outputs: readonly Output[];
  readonly load: 'yes';
  readonly push: 'yes';
  readonly noCache: 'all';
  readonly noCacheFilter: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly iidFile: string;
  readonly metadataFile: string;
  readonly check: 'yes';
  readonly call: Call;
  readonly explain: 'yes';
  readonly maxUsedBytes: number;
}

const last = (texts: readonly string[]): string => texts.at(-1) ?? '';
const lists = (texts: readonly string[]): readonly string[] =>
  texts
    .flatMap((text) => text.split(','))
    .map((part) => part.trim())
    .filter((part) => part !== '');

function nonEmpty(flag: string): (texts: readonly string[]) => string {
  return (texts) => {
    if (last(texts) === '') throw usageError(`${flag} needs a value`);
    return last(texts);
  };
}

/** What is built, and from what. */
const inputFlags: readonly AnyFlag<BuildFlags>[] = [
  {
    name: 'tag',
    short: 't',
    value: 'NAME[:TAG]',
    field: 'tags',
    doc: 'name the image; may be repeated',
    parse: (texts) => texts,
  },
  {
    name: 'file',
    short: 'f',
    value: 'PATH',
    field: 'file',
    parse: nonEmpty('--file'),
    doc: 'the Dockerfile, or - for standard input (default: Dockerfile in the context)',
  },
  {
    name: 'target',
    value: 'STAGE',
    field: 'target',
    doc: 'build this stage instead of the last one',
    parse: nonEmpty('--target'),
  },
  {
    name: 'build-arg',
    value: 'NAME[=VALUE]',
    field: 'buildArgs',
    doc: 'set a build argument; NAME alone takes the value from the environment; may be repeated',
    parse: (texts, { env }) => parseBuildArgs(texts, env),
  },
  {
    name: 'build-context',
    value: 'NAME=SOURCE',
    field: 'buildContexts',
    doc: 'a named context: a directory, docker-image://, oci-layout://, a git or http URL; may be repeated',
    parse: (texts) => parseKeyValues('--build-context', texts),
  },
  {
    name: 'platform',
    value: 'OS/ARCH[,…]',
    field: 'platforms',
    doc: 'build for these platforms; several make an index; local is this machine',
    parse: (texts) => parsePlatforms(lists(texts)),
  },
  {
    name: 'secret',
    value: 'id=ID[,src=FILE|env=NAME]',
    field: 'secrets',
    doc: 'a secret for RUN --mount=type=secret; may be repeated',
    parse: (texts, { env }) => texts.map((text) => parseSecret(text, env)),
  },
  {
    name: 'ssh',
    value: 'default|ID[=SOCKET|KEY,…]',
    field: 'ssh',
    doc: 'an agent or keys for RUN --mount=type=ssh; may be repeated',
    parse: (texts, { env }) => texts.map((text) => parseSsh(text, env)),
  },
  {
    name: 'label',
    value: 'KEY=VALUE',
    field: 'labels',
    parse: parseLabels,
    doc: 'set a label of the image; may be repeated',
  },
  {
    name: 'annotation',
    value: '[manifest:]KEY=VALUE',
    field: 'annotations',
    parse: parseAnnotations,
    doc: 'set an annotation of the manifest; may be repeated',
  },
];

/** What becomes of the result. */
const outputFlags: readonly AnyFlag<BuildFlags>[] = [
  {
    name: 'output',
    short: 'o',
    value: 'type=TYPE[,KEY=VALUE…]',
    field: 'outputs',
    doc: 'image, registry, oci, docker, local, tar or cacheonly; a bare path is a local directory, - a tar on standard output; may be repeated',
    parse: (texts) => texts.map((text) => parseOutput(text)),
  },
  {
    name: 'load',
    field: 'load',
    doc: 'keep the image in the store (the default without --output)',
    parse: () => 'yes',
  },
  { name: 'push', field: 'push', doc: 'push the image to the registries of its names', parse: () => 'yes' },
  {
    name: 'iidfile',
    value: 'FILE',
    field: 'iidFile',
    doc: 'write the image ID to a file',
    parse: nonEmpty('--iidfile'),
  },
  {
    name: 'metadata-file',
    value: 'FILE',
    field: 'metadataFile',
    parse: nonEmpty('--metadata-file'),
    doc: 'write digests and names as JSON to a file, with the keys of buildx',
  },
  {
    name: 'call',
    value: 'METHOD[,format=FORMAT]',
    field: 'call',
    doc: 'build, check, outline or targets; format is text, json or (check) sarif',
    parse: (texts) => parseCall(last(texts)),
  },
  { name: 'check', field: 'check', doc: 'check the Dockerfile without building: --call=check', parse: () => 'yes' },
];

/** How steps run and what is reused. */
const runFlags: readonly AnyFlag<BuildFlags>[] = [
  { name: 'explain', field: 'explain', doc: 'say at the end why each step ran', parse: () => 'yes' },
  { name: 'no-cache', field: 'noCache', doc: 'run every step again', parse: () => 'all' },
  {
    name: 'no-cache-filter',
    value: 'STAGE[,…]',
    field: 'noCacheFilter',
    doc: 'run every step of these stages again',
    parse: lists,
  },
  {
    name: 'cache-from',
    value: 'type=TYPE[,KEY=VALUE…]',
    field: 'cacheFrom',
    doc: 'take results of steps from type=registry,ref=NAME or type=local,src=DIR; a bare name is a registry; may be repeated',
    parse: (texts) => texts.map((text) => parseCacheFrom(text)),
  },
  {
    name: 'cache-to',
    value: 'type=TYPE[,KEY=VALUE…]',
    field: 'cacheTo',
    doc: 'leave results of steps in type=registry,ref=NAME, type=local,dest=DIR or type=inline; mode=max means all steps; may be repeated',
    parse: (texts) => texts.map((text) => parseCacheTo(text)),
  },
  {
    name: 'pull',
    value: 'always|missing|never',
    bare: 'always',
    field: 'pull',
    doc: 'when to ask registries for images that the store has (default: missing; --pull alone: always)',
    parse: (texts) => parsePull(last(texts)),
  },
  {
    name: 'max-used-space',
    value: 'SIZE',
    env: ['TSBUILD_MAX_USED_SPACE'],
    field: 'maxUsedBytes',
    doc: 'before building, shrink the store to this by what nothing needs (default: keep 5 % or 2 GiB of the disk free)',
    parse: (texts) => parseSize('--max-used-space', last(texts)),
  },
  {
    name: 'network',
    value: 'default|none|host',
    field: 'network',
    doc: 'the network of RUN steps; host allows itself, RUN --network=host needs --allow network.host',
    parse: (texts) => parseChoice('--network', last(texts), ['default', 'none', 'host']),
  },
  {
    name: 'add-host',
    value: 'NAME:ADDRESS',
    field: 'addHosts',
    doc: 'a line of /etc/hosts in RUN steps; host-gateway is this machine; may be repeated',
    parse: (texts) => texts.map((text) => parseAddHost(text)),
  },
  {
    name: 'shm-size',
    value: 'SIZE',
    field: 'shmSizeBytes',
    doc: 'size of /dev/shm in RUN steps',
    parse: (texts) => parseSize('--shm-size', last(texts)),
  },
  {
    name: 'ulimit',
    value: 'NAME=SOFT[:HARD]',
    field: 'ulimits',
    doc: 'a process limit of RUN steps; may be repeated',
    parse: (texts) => texts.map((text) => parseUlimit(text)),
  },
  {
    name: 'cgroup-parent',
    value: 'PATH',
    field: 'cgroupParent',
    doc: 'the cgroup below which RUN steps run',
    parse: nonEmpty('--cgroup-parent'),
  },
  {
    name: 'resource',
    value: 'KEY=VALUE[,…]',
    field: 'resources',
    parse: parseResources,
    doc: 'limits of each RUN step: memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, cpuset-mems, pids',
  },
  {
    name: 'allow',
    value: 'ENTITLEMENT',
    field: 'allow',
    parse: lists,
    doc: 'grant network.host, security.insecure, device or device=NAME; may be repeated',
  },
  {
    name: 'compat',
    value: 'buildkit',
    field: 'compat',
    doc: 'do as BuildKit does where tsbuild is stricter',
    parse: (texts) => parseChoice('--compat', last(texts), ['buildkit']),
  },
];

/** The flags of `tsbuild build`, in the order of help and README. */
export const buildFlags: readonly AnyFlag<BuildFlags>[] = [...inputFlags, ...outputFlags, ...runFlags];

/** docker's `--pull` is a truth value, buildah's names a policy; both are understood. */
function parsePull(text: string): BuildFlags['pull'] {
  if (text === 'true') return 'always';
  if (text === 'false') return 'missing';
  return parseChoice('--pull', text, ['always', 'missing', 'never']);
}
