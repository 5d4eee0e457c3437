import type { RunningStep, StepControl } from './core/running-steps.ts';
import type { BuildRequest, BuildResult, StoreOptions } from './build-request.ts';
import type { Diagnostic, SourceRange } from './core/diagnostic.ts';
import type { StepExplanation } from './core/explanation.ts';
import type { ProgressListener } from './core/progress.ts';
import type { RecordSelector, StoreRecord } from './core/store-record.ts';
import type { Descriptor } from './oci/descriptor.ts';
import type { Digest } from './oci/digest.ts';
import type { ImageConfig } from './oci/image-config.ts';

/** One name of an image in the store, or one image that has no name. */
export interface ImageRow {
  /** The full reference (`docker.io/library/app:v1`); absent for an image without a name. */
  readonly reference?: string;
  /** The manifest or index that the name stands for. */
  readonly image: Descriptor;
  /** The config's digest, which docker calls the image ID; absent for an index of several platforms. */
  readonly configDigest?: Digest;
  /** `linux/amd64`, … */
  readonly platforms: readonly string[];
  /** When the image was made, as its config says; absent where it does not. */
  readonly createdMs?: number;
  /** Bytes of all its blobs. */
  readonly size: number;
}

/** A layer as a manifest lists it. */
export interface LayerRow extends Descriptor {
  readonly diffId: Digest;
}

/** One platform's image within what a name stands for. */
export interface PlatformInspection {
  readonly platform: string;
  readonly manifest: Descriptor;
  readonly configDigest: Digest;
  readonly config: ImageConfig;
  /** Oldest first; as many as `config.rootfs.diff_ids`. */
  readonly layers: readonly LayerRow[];
}

/** What the store knows of one reference. */
export interface ImageInspection {
  readonly reference: string;
  /** The manifest or index that the name stands for. */
  readonly image: Descriptor;
  /** One for a manifest; for an index one per platform whose blobs are here. Never empty. */
  readonly platforms: readonly PlatformInspection[];
}

/** Which records are meant. */
export interface RecordFilter {
  /** Only what nobody has used at this time or later. */
  readonly usedBeforeMs?: number;
  /** Only what all of these hold for. */
  readonly selectors?: readonly RecordSelector[];
}

/** Which unused things `prune` removes. */
export interface PruneFilter extends RecordFilter {
  /** `unused`: what no name needs, and cache mounts where `selectors` select them. `all`: also names and all cache mounts, unless there are `selectors`. */
  readonly scope: 'unused' | 'all';
  /** Stops as soon as the store is no larger than this. */
  readonly keepBytes?: number;
  /** Stops as soon as this much of the disk is free. */
  readonly minFreeBytes?: number;
  /** The store is not made smaller than this. */
  readonly reservedBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

/** One kind of thing in the store (`image layers`, `cache mounts`, …). */
export interface UsageRow {
  readonly kind: string;
  readonly count: number;
  readonly bytes: number;
  /** What images share, or more than one cache record needs. */
  readonly sharedBytes: number;
  /** What no image and no running build needs. */
  readonly reclaimableBytes: number;
}

/** One thing in the store with the bytes that it takes. */
export type RecordRow = StoreRecord & { readonly bytes: number };

/** A directory of `RUN --mount=type=cache`. Several may share an id: with other owners or modes, and private ones. */
export interface CacheMountRow {
  readonly id: string;
  readonly path: string;
  readonly bytes: number;
  readonly lastUsedMs: number;
}

/** What to make a cache mount of. */
export interface CacheMountImport {
  /** A tar archive, perhaps compressed. */
  readonly path: string | AsyncIterable<Uint8Array>;
  /** Owner and mode of the directory, which belong to its identity: as the Dockerfile's mount has them (default: 0755, 0:0). */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly signal?: AbortSignal | undefined;
}

/** What is wrong with one thing in the store. */
export interface StoreFlaw {
  /** A blob's digest, a layer, or the name of an image. */
  readonly what: string;
  readonly reason: string;
  /** `stray`: a layer that nothing refers to, as a killed build leaves it; it takes space and harms nobody. */
  readonly severity: 'damaged' | 'stray';
  /** What was done about it. */
  readonly repair: 'none' | 'dropped';
}

/** What a transfer to or from a registry may be told. */
export interface TransferOptions {
  readonly progress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Images that outlive builds, and what keeps builds fast. References may be short (`app`), an image ID may stand for one. */
export interface StoreHandle extends AsyncDisposable {
  /** Newest first. */
  images(): Promise<readonly ImageRow[]>;
  /** @throws IMAGE_NOT_FOUND, REFERENCE_INVALID */
  tag(from: string, to: string): Promise<void>;
  /** Takes the name away, and the image's own blobs where it was its last. @throws IMAGE_NOT_FOUND, REFERENCE_INVALID */
  remove(reference: string): Promise<{ readonly untagged: readonly string[]; readonly deleted: readonly Digest[] }>;
  /** @throws IMAGE_NOT_FOUND, REFERENCE_INVALID */
  inspect(reference: string): Promise<ImageInspection>;
  /** Takes in a docker or OCI archive, perhaps compressed, or a layout directory; gives the names it brought. @throws ARCHIVE_INVALID, DIGEST_MISMATCH */
  load(input: {
    readonly path: string | AsyncIterable<Uint8Array>;
    readonly signal?: AbortSignal | undefined;
  }): Promise<readonly string[]>;
  /** `dest: '-'` is `stdout`. @throws IMAGE_NOT_FOUND, OUTPUT_FAILED */
  save(references: readonly string[], o: SaveOptions): Promise<void>;
  /** Gives the digest under which the registry now has it. @throws IMAGE_NOT_FOUND, REGISTRY_UNREACHABLE, REGISTRY_REFUSED */
  push(reference: string, o: TransferOptions): Promise<{ readonly reference: string; readonly digest: Digest }>;
  /** @throws IMAGE_NOT_FOUND, PLATFORM_NOT_FOUND, REGISTRY_UNREACHABLE, REGISTRY_REFUSED */
  pull(
    reference: string,
    o: TransferOptions & { readonly platform?: string | undefined },
  ): Promise<{ readonly reference: string; readonly digest: Digest }>;
  /** Removes what nothing needs; what a running build uses stays. */
  prune(filter: PruneFilter): Promise<{ readonly bytes: number; readonly items: number }>;
  /** A row of each kind. */
  diskUsage(filter: RecordFilter): Promise<readonly UsageRow[]>;
  records(filter: RecordFilter): Promise<readonly RecordRow[]>;
  /** Reads everything that the store has. With `repair: 'drop'` what is damaged goes, and every name and record that needs it. */
  verify(o: {
    readonly repair: 'none' | 'drop';
    readonly signal?: AbortSignal | undefined;
  }): Promise<readonly StoreFlaw[]>;
  /** By id. */
  cacheMounts(): Promise<readonly CacheMountRow[]>;
  /** Gives the bytes freed. @throws USAGE where there is none of that id, OUTPUT_FAILED while a build uses it */
  removeCacheMount(id: string): Promise<number>;
  /** Writes it as a tar archive. @throws USAGE, OUTPUT_FAILED */
  exportCacheMount(id: string, o: Omit<SaveOptions, 'format'>): Promise<void>;
  /** Replaces what is there. @throws ARCHIVE_INVALID, LAYER_INVALID, OUTPUT_FAILED while a build uses it */
  importCacheMount(id: string, request: CacheMountImport): Promise<CacheMountRow>;
  /** Oldest first, of all processes that build on this store. */
  runningSteps(): Promise<readonly RunningStep[]>;
  /** `id` may be the beginning of one; gives the whole id. @throws USAGE where none or several begin so, KERNEL_FEATURE_MISSING without a cgroup */
  controlStep(id: string, what: StepControl): Promise<string>;
}

/** Where and in which form images are saved. */
export interface SaveOptions {
  readonly dest: string;
  readonly format: 'docker' | 'oci';
  readonly stdout?: NodeJS.WritableStream | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The findings of a check. */
export interface CheckResult {
  /** The Dockerfile's name as the user gave it, equal to `range.file` of its findings. */
  readonly file: string;
  readonly text: Uint8Array;
  readonly diagnostics: readonly Diagnostic[];
  /** There is an error, or a warning that `# check=error=true` makes one. */
  readonly failed: boolean;
}

/** A build argument, secret, agent or cache mount that a target uses (BuildKit's `frontend.outline`). */
export interface OutlineResult {
  /** The target's name, where it has one. */
  readonly name?: string;
  /** From the comment `# name …` above the stage. */
  readonly description?: string;
  readonly args: readonly {
    readonly name: string;
    readonly description?: string;
    readonly value?: string;
    readonly location?: SourceRange;
  }[];
  readonly secrets: readonly { readonly name: string; readonly required: boolean; readonly location?: SourceRange }[];
  readonly ssh: readonly { readonly name: string; readonly required: boolean; readonly location?: SourceRange }[];
  readonly cache: readonly {
    readonly id: string;
    /** As written. */
    readonly target: string;
    readonly sharing: 'shared' | 'private' | 'locked';
    readonly location?: SourceRange;
  }[];
}

/** The stages that can be built (BuildKit's `frontend.targets`). */
export interface TargetsResult {
  /** In the file's order. */
  readonly targets: readonly {
    /** Absent for a stage without a name. */
    readonly name?: string;
    readonly description?: string;
    readonly base?: string;
    readonly platform?: string;
    /** Built where no target is named. */
    readonly default: boolean;
    readonly location?: SourceRange;
  }[];
}

/** What a machine offers to builds, and what they would do with it. */
export interface MachineReport {
  readonly store: string;
  readonly verdict: 'can-build' | 'cannot-build';
  readonly capabilities: readonly {
    /** Stable, for programs: `overlay`, `seccomp` … */
    readonly name: string;
    readonly state: 'available' | 'missing';
    /** What was found, or what the kernel said. */
    readonly detail: string;
    /** What is lost without it. */
    readonly use: string;
    readonly need: 'required' | 'optional';
    /** How to get what is missing. */
    readonly remedy?: string;
  }[];
  /** Snapshotter, user namespace, cgroups, network and runtime; empty where nothing can be built. */
  readonly choices: readonly { readonly name: string; readonly choice: string; readonly why: string }[];
}

/** What a build would run and why. */
export interface ExplainResult {
  /** Steps that make layers. */
  readonly total: number;
  /** Why each of those that are not cached would run, in the order in which they would. */
  readonly explanations: readonly StepExplanation[];
}

/** One step of a build that has not been done. */
export interface PlannedStep {
  /** As progress shows it. */
  readonly name: string;
  readonly stage: string;
  readonly platform: string;
  readonly location?: SourceRange;
  /** `may-run`: a step that would run comes before it, and may give the same files as before. */
  readonly state: 'cached' | 'would-run' | 'may-run';
  /** What it took when it last ran; absent where that is not known. */
  readonly expectedMs?: number;
}

/** What a build would do. Times are of steps only, without fetching images and exporting. */
export interface PlanResult {
  readonly steps: readonly PlannedStep[];
  /** Bytes of base images that would be fetched. */
  readonly pullBytes: number;
  /** The time of all steps that are not cached, one after the other. */
  readonly totalMs: number;
  /** The longest chain of them: what it takes at least. */
  readonly criticalPathMs: number;
  /** How many of them have never run, and count as nothing. */
  readonly unknown: number;
}

/** What `src/index.ts` offers to the command line; a test passes another one. */
export interface TsbuildApi {
  build(request: BuildRequest, store: StoreOptions): Promise<BuildResult>;
  check(request: BuildRequest, store: StoreOptions): Promise<CheckResult>;
  outline(request: BuildRequest, store: StoreOptions): Promise<OutlineResult>;
  targets(request: BuildRequest, store: StoreOptions): Promise<TargetsResult>;
  explain(request: BuildRequest, store: StoreOptions): Promise<ExplainResult>;
  plan(request: BuildRequest, store: StoreOptions): Promise<PlanResult>;
  openStore(store: StoreOptions): Promise<StoreHandle>;
  doctor(store: StoreOptions): Promise<MachineReport>;
}
