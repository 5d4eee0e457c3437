import type { Diagnostic, SourceRange } from '../src/core/diagnostic.ts';
import type { IgnoreMatcher } from '../src/core/glob.ts';
import type { BuildGraph, ResourceLimits, VertexId } from '../src/core/graph.ts';
import type { ImageDraft } from '../src/core/image.ts';
import type { ResolvedImage } from '../src/core/source.ts';
import type { Platform } from '../src/oci/platform.ts';

/** A context that is a tree by now: a directory of this machine, or what git or an archive brought. */
export interface TreeContext {
  readonly kind: 'local';
  readonly fetched?: 'yes';
}

/** What stands behind a name that `--build-context` gave. */
export type NamedContext =
  | TreeContext
  /** `docker-image://…` or `oci-layout://…`. */
  | { readonly kind: 'image'; readonly reference: string };

/** A build for one platform. */
export interface LowerRequest {
  /** A stage's name, in any case, or its number; the last stage where absent. */
  readonly target?: string;
  /** `all`: stages that the target does not need are lowered too, for the sake of their warnings. */
  readonly extent?: 'target' | 'all';
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly platform: Platform;
  /** Whether the user named the platform. */
  readonly platformAsked: 'yes' | 'no';
  readonly buildPlatform: Platform;
  readonly namedContexts: ReadonlyMap<string, NamedContext>;
  /** By `ImageRequest.key`. */
  readonly images: ReadonlyMap<string, ResolvedImage>;
  /** Names of stages, or all. */
  readonly noCache: 'all' | readonly string[];
  readonly network: 'default' | 'none' | 'host';
  readonly addHosts: readonly { readonly host: string; readonly address: string }[];
  readonly shmSizeBytes?: number;
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly cgroupParent?: string;
  readonly resources: ResourceLimits;
  readonly mainContext: TreeContext;
  /** What the main context leaves out. */
  readonly ignore?: IgnoreMatcher;
  /** As close to BuildKit as can be, its leniency included. */
  readonly compat?: 'buildkit';
  /** SOURCE_DATE_EPOCH where the caller knows it; else the build arg of that name counts. */
  readonly epochSeconds?: number;
  /** More than one platform is being built, so steps name theirs. */
  readonly multiPlatform: 'yes' | 'no';
  /** tsbuild's own lint rules. */
  readonly ownRules?: 'on' | 'off';
}

/** An image that must be resolved before the graph can be drawn. */
export interface ImageRequest {
  readonly key: string;
  readonly reference: string;
  readonly platform: Platform;
  /** `yes`: the user or the Dockerfile asked for just this platform. */
  readonly strict: 'yes' | 'no';
  readonly range?: SourceRange;
}

/** What lowering came to. */
export type LowerResult =
  /** Resolve these and call again with them added; ONBUILD of a base may lead to more. */
  | { readonly kind: 'needs-images'; readonly requests: readonly ImageRequest[] }
  | {
      readonly kind: 'complete';
      readonly graph: BuildGraph;
      /** `undefined`: no layers at all. */
      readonly target: VertexId | undefined;
      readonly draft: ImageDraft;
      /** The images whose layers are the lowest of the target's stack. */
      readonly bases: readonly ResolvedImage[];
      /** Warnings, lint included, in the order of the file. */
      readonly diagnostics: readonly Diagnostic[];
      /** SOURCE_DATE_EPOCH as it was found. */
      readonly epochSeconds?: number;
    }
  /** Errors first, then warnings, each in the order of the file. */
  | { readonly kind: 'invalid'; readonly diagnostics: readonly Diagnostic[] };
