import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { builtDigest, openRig, ranSteps, type Rig } from './rig.ts';
import type { ProgramResult, StartedProgram } from './run-program.ts';

/** What a build on one of the machines came to. */
export interface MachineBuild {
  /** Of the image; empty where no output made one. */
  readonly digest: string;
  readonly ran: readonly string[];
  readonly warnings: readonly string[];
}

/** A cache in the directory `cache`, as JSON says it. */
export interface WrittenCache {
  readonly digest: string;
  readonly manifest: {
    readonly config: { readonly digest: string };
    readonly layers: readonly { readonly digest: string }[];
  };
  readonly config: CacheJson;
}

interface CacheJson {
  readonly layers: readonly {
    readonly blob: string;
    readonly parent: number;
    readonly annotations: Record<string, unknown>;
  }[];
  readonly records: readonly { readonly digest: string; readonly layers: readonly { readonly layer: number }[] }[];
}

/** Stores that stand for machines, a project that all of them build, and a directory that they share. */
export interface CacheMachines {
  readonly rig: Rig;
  readonly context: string;
  readonly cache: string;
  /** Builds the project on the machine of that name and expects success. */
  build(machine: string, args?: readonly string[]): Promise<MachineBuild>;
  /** What `tsbuild plan` says. */
  plan(
    machine: string,
    args?: readonly string[],
  ): Promise<readonly { readonly name: string; readonly state: string }[]>;
  run(machine: string, args?: readonly string[]): Promise<ProgramResult>;
  start(machine: string, args?: readonly string[]): StartedProgram;
  blobPath(digest: string): string;
  readCache(): Promise<WrittenCache>;
  /** Replaces the config by another one, with all digests right. */
  forgeConfig(forge: (config: CacheJson) => CacheJson): Promise<void>;
}

/** Two stages; twins among the layers, a layer that can be put on anything, files from another stage. */
const DOCKERFILE = `FROM busybox AS made
COPY source.txt /source.txt
RUN tr a-z A-Z < /source.txt > /upper.txt
RUN true
RUN true

FROM busybox
WORKDIR /app
COPY --from=made /upper.txt .
RUN true
COPY --link other ./other
RUN ls -R > /list
CMD ["cat", "/app/upper.txt"]
`;

/** Makes the project. @param flags how the base image is reached */
export async function openCacheMachines(flags: readonly string[]): Promise<CacheMachines & AsyncDisposable> {
  const rig = await openRig();
  const [context, cache] = [join(rig.work, 'context'), join(rig.work, 'cache')];
  await mkdir(join(context, 'other/folder'), { recursive: true });
  await writeFile(join(context, 'Dockerfile'), DOCKERFILE);
  await writeFile(join(context, 'source.txt'), 'source\n');
  await writeFile(join(context, 'other/folder/file'), 'file\n');
  const commandOf = (machine: string, args: readonly string[]): readonly string[] => {
    const store = join(rig.work, `store-${machine}`);
    return ['build', '--store', store, '--progress=rawjson', '-t', 'app', ...flags, ...args, context];
  };
  const blobPath = (digest: string): string => join(cache, 'blobs/sha256', digest.slice('sha256:'.length));
  const readCache = async (): Promise<WrittenCache> => {
    const index = JSON.parse(await readFile(join(cache, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
    const digest = index.manifests[0]?.digest ?? '';
    const manifest = JSON.parse(await readFile(blobPath(digest), 'utf8')) as WrittenCache['manifest'];
    const config = JSON.parse(await readFile(blobPath(manifest.config.digest), 'utf8')) as CacheJson;
    return { digest, manifest, config };
  };
  const putDocument = async (document: object): Promise<{ digest: string; size: number }> => {
    const bytes = Buffer.from(JSON.stringify(document));
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    await writeFile(blobPath(digest), bytes);
    return { digest, size: bytes.length };
  };
  return {
    rig,
    context,
    cache,
    blobPath,
    readCache,
    build: async (machine, args = []) => {
      const metadata = join(rig.work, `metadata-${machine}.json`);
      const withImage = !args.includes('type=cacheonly');
      const { stderr } = await rig.succeed(commandOf(machine, ['--metadata-file', metadata, ...args]));
      return {
        digest: withImage ? await builtDigest(metadata) : '',
        ran: ranSteps(stderr),
        warnings: warningsIn(stderr),
      };
    },
    plan: async (machine, args = []) => {
      const store = join(rig.work, `store-${machine}`);
      const { stdout } = await rig.succeed(['plan', '--store', store, '--format=json', ...flags, ...args, context]);
      return (JSON.parse(stdout) as { steps: { name: string; state: string }[] }).steps;
    },
    run: (machine, args = []) => rig.run(commandOf(machine, args)),
    start: (machine, args = []) => rig.start(commandOf(machine, args)),
    forgeConfig: async (forge) => {
      const { manifest, config } = await readCache();
      const forged = await putDocument(forge(config));
      const root = await putDocument({ ...manifest, config: { ...manifest.config, ...forged } });
      const entry = {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        ...root,
        annotations: { 'org.opencontainers.image.ref.name': 'latest' },
      };
      await writeFile(join(cache, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
      expect((await readCache()).manifest.config.digest).toBe(forged.digest);
    },
    [Symbol.asyncDispose]: async () => rig[Symbol.asyncDispose](),
  };
}

function warningsIn(rawjson: string): readonly string[] {
  const lines = rawjson.split('\n').filter((line) => line.startsWith('{'));
  return lines.flatMap((line) => {
    const { warnings = [] } = JSON.parse(line) as { warnings?: { short: string }[] };
    return warnings.map(({ short }) => Buffer.from(short, 'base64').toString());
  });
}
