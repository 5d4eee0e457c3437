import type { Digest } from './oci/digest.ts';
import type { Compression } from './oci/media-type.ts';
import type { Diagnostic } from './core/diagnostic.ts';
import type { StepExplanation } from './core/explanation.ts';
import type { ResourceLimits } from './core/graph.ts';
import type { ProgressListener } from './core/progress.ts';
import type { PullPolicy } from './core/source.ts';

/** Where a Dockerfile's text comes from. */
export type DockerfileInput =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'text'; readonly name: string; readonly text: Uint8Array }
  /** `Dockerfile` (or `dockerfile`, `Containerfile`) in the context. */
  | { readonly kind: 'default' };

/** Where a build context comes from. `location` of a named one may also be `docker-image://`, `oci-layout://`. */
export type ContextInput =
  | { readonly kind: 'location'; readonly location: string }
  /** A tar archive, perhaps compressed. */
  | { readonly kind: 'tar'; readonly bytes: AsyncIterable<Uint8Array> }
  | { readonly kind: 'empty' };

/** How blobs of layers are made; gzip and OCI's media types if absent. */
export interface LayerBlobOptions {
  readonly compression?: Compression;
  readonly compressionLevel?: number;
  readonly forceCompression?: boolean;
  readonly mediaTypes?: 'oci' | 'docker';
}

/** What all image outputs share. */
export interface ImageOutputOptions extends LayerBlobOptions {
  readonly rewriteTimestamp?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** One thing to make of the result. `dest: '-'` is standard output. */
export type Output =
  | ({
      readonly type: 'image';
      readonly names: readonly string[];
      readonly push: 'yes' | 'no';
      readonly store: 'yes' | 'no';
      readonly pushByDigest?: boolean;
    } & ImageOutputOptions)
  | ({
      readonly type: 'oci';
      readonly names: readonly string[];
      readonly dest: string;
      readonly form: 'tar' | 'directory';
    } & ImageOutputOptions)
  | ({ readonly type: 'docker'; readonly names: readonly string[]; readonly dest: string } & ImageOutputOptions)
  | { readonly type: 'local'; readonly dest: string }
  | { readonly type: 'tar'; readonly dest: string }
  | { readonly type: 'cacheonly' };

/** A cache to take results of steps from; what cannot be read is told as a warning. */
export type CacheImport =
  /** A cache that was exported there, or an image with an inline cache. */
  | { readonly type: 'registry'; readonly ref: string }
  /** An image layout; the cache with this digest or, without one, this tag (`latest`). */
  | { readonly type: 'local'; readonly src: string; readonly tag?: string; readonly digest?: Digest };

/** A place to leave the results of steps for other machines. */
export type CacheExport =
  /** In the config of the images that the outputs make; of the image's own steps only. */
  | { readonly type: 'inline' }
  | ({ readonly type: 'registry'; readonly ref: string } & CacheExportOptions)
  | ({
      readonly type: 'local';
      readonly dest: string;
      readonly tag?: string;
      /** `drop`: blobs that no cache of the directory has any more are removed. */
      readonly unreferenced?: 'drop';
    } & CacheExportOptions);

/** What exports in a place of their own have in common. */
export interface CacheExportOptions extends LayerBlobOptions {
  /** `min`: steps whose layers the image has; `max`: all steps. */
  readonly mode: 'min' | 'max';
  /** `manifest` if absent. */
  readonly form?: 'manifest' | 'index';
  /** What becomes of a build whose cache cannot be exported; `warn` if absent. */
  readonly onError?: 'warn' | 'fail';
}

/** A secret handed to the build. */
export interface SecretInput {
  readonly id: string;
  readonly from:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'env'; readonly name: string }
    | { readonly kind: 'value'; readonly value: Uint8Array };
}

/** An ssh agent's socket, or private keys, handed to the build. */
export interface SshInput {
  readonly id: string;
  readonly paths: readonly string[];
}

/** One build, as a person or a program asks for it. Absent fields mean docker's defaults. */
export interface BuildRequest {
  readonly context: ContextInput;
  readonly dockerfile?: DockerfileInput;
  readonly target?: string;
  /** `undefined` as a value: the client's environment did not have it, so it counts as not given. */
  readonly buildArgs?: ReadonlyMap<string, string | undefined>;
  readonly buildContexts?: ReadonlyMap<string, string>;
  readonly labels?: ReadonlyMap<string, string>;
  readonly platforms?: readonly string[];
  readonly tags?: readonly string[];
  /** Empty or absent: an image in the store. */
  readonly outputs?: readonly Output[];
  readonly noCache?: 'all' | readonly string[];
  /** In the order in which they are asked. */
  readonly cacheFrom?: readonly CacheImport[];
  readonly cacheTo?: readonly CacheExport[];
  readonly pull?: PullPolicy;
  readonly network?: 'default' | 'none' | 'host';
  readonly addHosts?: readonly { readonly host: string; readonly address: string }[];
  readonly shmSizeBytes?: number;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly cgroupParent?: string;
  readonly resources?: ResourceLimits;
  readonly allow?: readonly string[];
  readonly secrets?: readonly SecretInput[];
  readonly ssh?: readonly SshInput[];
  readonly compat?: 'buildkit';
  /** The store is brought below this before the build writes; see `StoreOptions`. */
  readonly maxUsedBytes?: number;
  /** Says in the result why each step ran. */
  readonly explain?: 'yes';
  /** Stops after evaluation and gives lint findings only. */
  readonly call?: 'build' | 'check';
  readonly progress?: ProgressListener;
  readonly signal?: AbortSignal;
  /** Receives bytes for outputs with `dest: '-'`. */
  readonly stdout?: NodeJS.WritableStream;
}

/** Where images, layers and caches live, and how registries are reached. */
export interface StoreOptions {
  readonly store: string;
  /** `docker.io` → `127.0.0.1:5000`, tried in order before the registry itself. */
  readonly registryMirrors?: ReadonlyMap<string, readonly string[]>;
  /** Hosts that may be spoken to over plain HTTP, besides loopback. */
  readonly insecureRegistries?: readonly string[];
  readonly snapshotter?: 'auto' | 'overlay' | 'copy';
  /** `native`, or the name or path of an OCI runtime. */
  readonly runtime?: string;
  /** `suppress` (default): fsync and its kin succeed at once inside RUN steps; a layer is synced as a whole. `real`: the kernel is asked. */
  readonly syncSteps?: 'suppress' | 'real';
  /** How RUN steps with the default network reach outside; `auto`: a network of their own where that works, else the host's with a note. */
  readonly networkDriver?: 'auto' | 'host' | 'bridge' | 'pasta' | 'slirp4netns';
  /** Where CDI specs of devices lie, in place of /etc/cdi and /var/run/cdi; what a later one has counts more. */
  readonly cdiDirectories?: readonly string[];
  /** How much blobs and layers may take: before a build writes, what nothing needs goes, least valuable first. */
  readonly maxUsedBytes?: number;
}

/** What a build made. */
export interface BuildResult {
  /** One per platform, in the order asked for. */
  readonly images: readonly BuiltImage[];
  /** The manifest's or, for several platforms, the index' digest; absent where no output made an image. */
  readonly digest?: Digest;
  readonly names: readonly string[];
  readonly warnings: readonly Diagnostic[];
  readonly steps: { readonly total: number; readonly cached: number; readonly ran: number };
  /** Why each step ran, in the graph's order, where the request wants to know. */
  readonly explanations?: readonly StepExplanation[];
}

/** One platform's image. */
export interface BuiltImage {
  readonly platform: string;
  readonly manifestDigest?: Digest;
  readonly configDigest?: Digest;
  readonly manifestSize?: number;
  readonly layers: readonly { readonly digest: Digest; readonly size: number; readonly mediaType: string }[];
}
