import { type CacheKey, type CacheRecord, pulledAs } from '../core/cache.ts';
import { BuildError, invariant, isBuildError, messageOf } from '../core/error.ts';
import type { ImportedCache, RemoteLayer } from '../core/imported-cache.ts';
import type { LayerId, LayerStack } from '../core/snapshot.ts';
import { together } from '../core/together.ts';
import { decompress } from '../oci/compression.ts';
import { type Digest, Digester, digestHex, digestOf } from '../oci/digest.ts';
import { FormatError } from '../oci/format-error.ts';
import { layerCompression } from '../oci/media-type.ts';
import { type CachePlace, readCacheDocuments } from './cache-document.ts';
import { type ImportedRecord, importedRecords, type LayerNode, nodesUpTo, type ToldLayer } from './cache-records.ts';
import { type LayerFetcher, type LayerPorts, type LayersOptions, openLayerFetcher, storeBlob } from './image-layers.ts';
import type { ImageOrigin } from './image-origin.ts';

type Signal = { readonly signal?: AbortSignal | undefined };
type Progress = NonNullable<LayersOptions['progress']>;

/** How one layer is brought here. */
interface Fetching {
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
}

/** What importing caches works with. */
export interface ImportPorts extends LayerPorts {
  /** Called once for each reason why layers of the cache `name` cannot be had. */
  readonly lost: (name: string, reason: string) => void;
  /** Does work that may take long, and shows it. */
  readonly during: <T>(work: (progress: Progress) => Promise<T>) => Promise<T>;
}

/** Reads what was published at `place`; nothing but documents is fetched. @throws DOCUMENT_INVALID, and what the origin throws */
export async function importRecords(place: CachePlace): Promise<readonly ImportedRecord[]> {
  const documents = await readCacheDocuments(place);
  try {
    return documents.flatMap(importedRecords);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const what = `cache ${place.root.digest}`;
    throw new BuildError('DOCUMENT_INVALID', { what, reason: error.message }, { cause: error });
  }
}

/** Records, and where their layers are. */
export interface ImportSource {
  /** For messages. */
  readonly name: string;
  readonly records: readonly ImportedRecord[];
  readonly origin: ImageOrigin;
}

/** The caches as one; of several records for a key the first one counts whose layers are not lost. */
export function openImportedCache(ports: ImportPorts, sources: readonly ImportSource[]): ImportedCache {
  return new ImportedRecords(ports, sources);
}

/** A layer that a source has. */
interface Known {
  readonly layer: RemoteLayer;
  readonly source: ImportSource;
}

/** A record, and whose it is. */
interface Found {
  readonly record: ImportedRecord;
  readonly source: ImportSource;
}

/** Failures that say something of the cache or the way to it, not of this machine. */
const OF_THE_CACHE = [
  'IMAGE_NOT_FOUND',
  'BLOB_NOT_FOUND',
  'DIGEST_MISMATCH',
  'DOCUMENT_INVALID',
  'LAYER_INVALID',
  'PATH_INVALID',
  'REGISTRY_UNREACHABLE',
  'REGISTRY_REFUSED',
] as const;

class ImportedRecords implements ImportedCache {
  readonly layers: ImportedCache['layers'];
  readonly #ports: ImportPorts;
  readonly #sources: readonly ImportSource[];
  readonly #fetcher: LayerFetcher;
  readonly #records = new Map<CacheKey, Found[]>();
  /** What a lookup has given so far. */
  readonly #known = new Map<LayerId, Known>();
  readonly #blobs = new Map<Digest, Known>();
  /** By the remote ids of layers that lie on each other, the layers of this store: what a layer comes to depends on those below. */
  readonly #unpacked = new Map<string, LayerStack>();
  readonly #remoteIds = new Map<LayerId, LayerId>();
  readonly #lost = new Set<LayerId>();
  readonly #unreachable = new Set<ImportSource>();
  readonly #reasons = new Set<string>();

  constructor(ports: ImportPorts, sources: readonly ImportSource[]) {
    this.#ports = ports;
    this.#sources = sources;
    this.#fetcher = openLayerFetcher(ports);
    this.layers = { lookup: (layer) => this.#known.get(this.#remoteIds.get(layer) ?? layer)?.layer };
    for (const source of sources) {
      for (const record of source.records) {
        const found = this.#records.get(record.key);
        if (found === undefined) this.#records.set(record.key, [{ record, source }]);
        else found.push({ record, source });
      }
    }
  }

  lookup(key: CacheKey): CacheRecord | undefined {
    for (const { record, source } of this.#records.get(key) ?? []) {
      const stack = this.#unreachable.has(source) ? undefined : this.#stackOf(record.top, source);
      if (stack === undefined || this.#isLost(stack)) continue;
      return { stack, createdMs: record.createdMs, durationMs: record.durationMs, fields: '[]' };
    }
    return undefined;
  }

  async unpack(stack: LayerStack, { signal }: Signal): Promise<LayerStack | undefined> {
    const unpacked: LayerId[] = [];
    for (const run of this.#runsOf(stack)) {
      const [first] = run;
      const isRemote = first !== undefined && this.#known.has(first);
      const layers = isRemote ? await this.#unpackRun(run, signal) : run;
      if (layers === undefined) return undefined;
      unpacked.push(...layers);
    }
    return unpacked;
  }

  async fetchBlobs(stack: LayerStack, { signal }: Signal): Promise<'there' | 'lost'> {
    if (this.#isLost(stack)) return 'lost';
    const remote = stack.flatMap((layer) => {
      const known = this.#known.get(layer);
      return known === undefined ? [] : [{ layer, known }];
    });
    if (remote.length === 0) return 'there';
    const outcomes = await this.#ports.during((progress) =>
      together(
        remote,
        ({ layer, known }, until) =>
          this.#attempt(layer, () => this.#fetchVerified(known, { progress, signal: until }), until),
        signal,
      ),
    );
    return outcomes.includes('lost') ? 'lost' : 'there';
  }

  openBlob(blob: Digest, signal?: AbortSignal): AsyncIterable<Uint8Array> | undefined {
    const known = this.#blobs.get(blob);
    return known?.source.origin.blob(known.layer.blob, signal);
  }

  /** Layers that are all remote or all here. A remote run on others comes from a step that knew nothing of what it would be put on. */
  #runsOf(stack: LayerStack): readonly LayerStack[] {
    const runs: LayerId[][] = [];
    for (const layer of stack) {
      const last = runs.at(-1);
      const [first] = last ?? [];
      const continues = first !== undefined && this.#known.has(first) === this.#known.has(layer);
      if (continues) last?.push(layer);
      else runs.push([layer]);
    }
    return runs;
  }

  async #unpackRun(run: LayerStack, signal: AbortSignal | undefined): Promise<LayerStack | undefined> {
    if (this.#isLost(run)) return undefined;
    const known = this.#unpacked.get(run.join());
    if (known !== undefined) return known;
    const top = run.at(-1);
    invariant(top !== undefined, 'a run has a layer');
    const fetch = (progress: Progress): Promise<void> => this.#fetchRun(run, { progress, signal });
    const outcome = await this.#attempt(top, () => this.#ports.during(fetch), signal);
    return outcome === 'lost' ? undefined : this.#unpacked.get(run.join());
  }

  #isLost(stack: LayerStack): boolean {
    return stack.some((layer) => {
      const source = this.#known.get(layer)?.source;
      return this.#lost.has(layer) || (source !== undefined && this.#unreachable.has(source));
    });
  }

  #stackOf(top: LayerNode | undefined, source: ImportSource): LayerStack {
    return nodesUpTo(top).map(({ layer }) => {
      const id = this.#idOf(layer, source);
      const known = { layer: { id, ...layer }, source };
      this.#known.set(id, known);
      this.#blobs.set(layer.blob.digest, known);
      return id;
    });
  }

  /** No id of a layer in a store looks like that. Twins that were made at different times are two layers. */
  #idOf({ blob, diffId, createdMs }: ToldLayer, source: ImportSource): LayerId {
    const content = digestHex(digestOf(`${blob.digest} ${diffId}`));
    return `remote:${this.#sources.indexOf(source)}:${content}:${createdMs}` as LayerId;
  }

  async #attempt(
    layer: LayerId,
    work: () => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<'there' | 'lost'> {
    try {
      await work();
      return 'there';
    } catch (error) {
      signal?.throwIfAborted();
      if (!OF_THE_CACHE.some((code) => isBuildError(error, code))) throw error;
      this.#lost.add(layer);
      const source = this.#known.get(layer)?.source;
      if (source !== undefined) this.#tellLost(source, error);
      return 'lost';
    }
  }

  #tellLost(source: ImportSource, error: unknown): void {
    if (isBuildError(error, 'REGISTRY_UNREACHABLE')) this.#unreachable.add(source);
    const reason = messageOf(error);
    const told = `${source.name}: ${reason}`;
    if (!this.#reasons.has(told)) this.#ports.lost(source.name, reason);
    this.#reasons.add(told);
  }

  async #fetchRun(run: LayerStack, { progress, signal }: Fetching): Promise<void> {
    const layers = run.flatMap((id) => this.#known.get(id)?.layer ?? []);
    const origin: ImageOrigin = {
      document: ({ digest }) => Promise.reject(new BuildError('BLOB_NOT_FOUND', { digest })),
      blob: ({ digest }, until) => this.openBlob(digest, until) ?? missing(digest),
    };
    const stack = await this.#fetcher.fetch(layers, origin, { blobs: 'needed', progress, signal });
    for (const [place, layer] of stack.entries()) {
      const id = run[place];
      if (id !== undefined) this.#remoteIds.set(layer, id);
    }
    this.#unpacked.set(run.join(), stack);
  }

  /** A blob may be pushed as a diff ID's without ever being unpacked: what the cache says of it is verified all the same. */
  async #fetchVerified(
    { layer, source }: Known,
    { progress, signal }: Fetching & { readonly signal: AbortSignal },
  ): Promise<void> {
    const { blob, diffId } = layer;
    const { index, content, slots } = this.#ports;
    const name = pulledAs(blob.digest);
    await storeBlob(this.#ports, { blob, origin: source.origin, progress, signal });
    if ((await index.lookupBlob(diffId, name)) !== undefined) return;
    await slots.io.run(() => verifyContent(layer, content.read(blob, { signal })), signal);
    await index.recordBlob(diffId, name, blob);
  }
}

function missing(digest: Digest): never {
  throw new BuildError('BLOB_NOT_FOUND', { digest });
}

async function verifyContent({ blob, diffId }: RemoteLayer, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const compression = layerCompression(blob.mediaType);
  invariant(compression !== undefined, 'layers of other types are left out');
  const digester = new Digester();
  try {
    for await (const chunk of decompress(bytes, compression)) digester.update(chunk);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new BuildError('LAYER_INVALID', { what: blob.digest, reason: error.message }, { cause: error });
  }
  const actual = digester.digest();
  if (actual === diffId) return;
  throw new BuildError('DIGEST_MISMATCH', { what: `the content of layer ${blob.digest}`, expected: diffId, actual });
}
