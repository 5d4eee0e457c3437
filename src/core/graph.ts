import { canonicalJson } from '../oci/canonical-json.ts';
import { digestOf, type Digest } from '../oci/digest.ts';
import type { Brand } from '../oci/brand.ts';
import type { Platform } from '../oci/platform.ts';
import type { SourceRange } from './diagnostic.ts';
import { invariant } from './error.ts';

/** Identifies a vertex within one graph: the digest of its op and of its inputs' ids, so equal work is one vertex. */
export type VertexId = string & Brand<'VertexId'>;

/** Which of a vertex' `inputs` is meant: an index into that list. */
export type InputIndex = number;

/** Where files come from that no step of this build made. */
export type Source =
  | {
      readonly type: 'image';
      /** The full reference as resolved, for people: it is not part of any key. */
      readonly reference: string;
      /** The digest of the image manifest (never of an index). */
      readonly digest: Digest;
      readonly platform: Platform;
    }
  | {
      readonly type: 'local';
      /** The build context's name: `context` for the main one, else a named context's. */
      readonly name: string;
    }
  | {
      /** One file. Its name in the tree is `filename`. */
      readonly type: 'http';
      readonly url: string;
      readonly filename: string;
      readonly checksum?: Digest;
    }
  | {
      /** The tree of a commit, or of a folder in it. */
      readonly type: 'git';
      readonly remote: string;
      readonly ref?: string;
      readonly subdir?: string;
      readonly checksum?: string;
      readonly submodules: 'recursive' | 'none';
      readonly gitDir: 'keep' | 'drop';
      readonly mtime?: 'checkout' | 'commit';
    };

/** Brings in files from outside; has no inputs. */
export interface SourceOp {
  readonly kind: 'source';
  readonly source: Source;
}

/** A file system attached during an `ExecOp`. `target` is absolute and clean. */
export type ExecMount =
  | {
      /** A tree, or what lies at `source` in it; with `writes: 'discard'` the step may write, and what it writes is thrown away. */
      readonly type: 'bind';
      readonly target: string;
      readonly input: InputIndex;
      readonly source: string;
      readonly writes: 'refuse' | 'discard';
    }
  | {
      /** A directory that outlives the build. `input` and `source` seed it the first time. */
      readonly type: 'cache';
      readonly target: string;
      readonly id: string;
      readonly sharing: 'shared' | 'private' | 'locked';
      readonly writes: 'refuse' | 'keep';
      readonly input?: InputIndex;
      readonly source: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly type: 'tmpfs'; readonly target: string; readonly sizeBytes?: number }
  | {
      /** A secret as a file; its value never reaches a key. */
      readonly type: 'secret';
      readonly target: string;
      readonly id: string;
      readonly presence: 'required' | 'optional';
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      /** A socket of an ssh agent; SSH_AUTH_SOCK names the first one. */
      readonly type: 'ssh';
      readonly target: string;
      readonly id: string;
      readonly presence: 'required' | 'optional';
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      /** A small read-only file that the instruction itself carries (a heredoc script below /dev/pipes). */
      readonly type: 'file';
      readonly target: string;
      readonly data: Uint8Array;
      readonly mode: number;
    };

/** A secret handed over as an environment variable. */
export interface SecretEnv {
  readonly name: string;
  readonly id: string;
  readonly presence: 'required' | 'optional';
}

/** Runs a program on the tree of input 0 (`root: 'input'`) or on an empty tree (`root: 'scratch'`); gives that tree with one layer more. */
export interface ExecOp {
  readonly kind: 'exec';
  readonly root: 'input' | 'scratch';
  /** Program and arguments as run; never empty. */
  readonly args: readonly string[];
  /** `NAME=value`, in order, names unique. */
  readonly env: readonly string[];
  /** Absolute and clean. */
  readonly cwd: string;
  /** As USER has it: name or uid, optionally `:` group; empty means root. Resolved in the tree's own /etc/passwd. */
  readonly user: string;
  readonly hostname: string;
  readonly network: 'default' | 'none' | 'host';
  readonly security: 'sandbox' | 'insecure';
  readonly mounts: readonly ExecMount[];
  readonly secretEnv: readonly SecretEnv[];
  readonly devices: readonly { readonly name: string; readonly presence: 'required' | 'optional' }[];
  /** `NAME=value` of proxies that the step sees, but no key and no history does. */
  readonly proxyEnv: readonly string[];
  /** Extra lines of /etc/hosts. Only the names are part of the key. */
  readonly extraHosts: readonly { readonly host: string; readonly address: string }[];
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly shmSizeBytes?: number;
  readonly cgroupParent?: string;
  /** Limits of the step's cgroup; not part of the key. */
  readonly resources: ResourceLimits;
  readonly platform: Platform;
}

/** Limits of a step's cgroup; absent means unlimited. Units: bytes, microseconds, counts. */
export interface ResourceLimits {
  readonly memoryBytes?: number;
  readonly memorySwapBytes?: number;
  readonly cpuShares?: number;
  readonly cpuPeriodUs?: number;
  readonly cpuQuotaUs?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly pids?: number;
}

/** Who owns what a file action makes, as --chown or USER spells it; a name is looked up in the base tree's passwd and group. */
export interface Ownership {
  readonly user: string;
  /** Absent: a numeric user's own number, a named user's primary group. */
  readonly group?: string;
  /** A name that the tree does not have: an error where absent. `ignore`: such a user is 0:0, and such a group changes nothing. */
  readonly unknown?: 'ignore';
}

/** A mode to set: octal as a number, symbolic as text (`u=rwX,go=rX`, umask 0). */
export type Mode = number | string;

/** Copies paths of one tree into the tree being made. */
export interface CopyAction {
  readonly type: 'copy';
  readonly from: InputIndex;
  /** Absolute in the source tree, cleaned, wildcards of Go's filepath.Match; with `parents: 'keep'` it may hold the pivot `/./` and `**`. */
  readonly sources: readonly string[];
  /** Absolute; a trailing slash means: a directory, made if missing. */
  readonly dest: string;
  readonly owner?: Ownership;
  readonly mode?: Mode;
  /** Ignore-file patterns, relative to each copied root. */
  readonly exclude: readonly string[];
  /** A file that a source itself names and `exclude` matches: left out where absent. */
  readonly excludeNamed?: 'copy';
  readonly parents: 'keep' | 'drop';
  /** What happens to a source that is an archive: `auto` unpacks it where it is one. */
  readonly unpack: 'auto' | 'always' | 'never';
}

/** Makes a directory and its missing parents (0755, owned by `owner`); an existing directory stays as it is. */
export interface MkdirAction {
  readonly type: 'mkdir';
  readonly path: string;
  readonly mode: number;
  readonly owner?: Ownership;
}

/** Writes one small file that the instruction itself carries (a heredoc); `dest` as in `CopyAction`, `name` used where it is a directory. */
export interface WriteAction {
  readonly type: 'write';
  readonly dest: string;
  readonly name: string;
  readonly data: Uint8Array;
  readonly owner?: Ownership;
  /** Absent: 0644. */
  readonly mode?: Mode;
}

/** One change to a tree. */
export type FileAction = CopyAction | MkdirAction | WriteAction;

/** Changes files of the tree of input 0 (`base: 'input'`) or of an empty tree, all in one layer; gives that tree with one layer more. */
export interface FileOp {
  readonly kind: 'file';
  readonly base: 'input' | 'scratch';
  readonly actions: readonly FileAction[];
  /** Sources that would all become the one file `dest`: an error where absent. `replace`: only the last is left. */
  readonly clash?: 'replace';
  /** The tree whose passwd and group give names their ids, where that is not the base (`--link`). */
  readonly users?: InputIndex;
  /** SOURCE_DATE_EPOCH for what the actions make, in seconds. */
  readonly epochSeconds?: number;
}

/** Stacks the layers of its inputs, first input lowest. */
export interface MergeOp {
  readonly kind: 'merge';
}

/** The kinds of work. */
export type Op = SourceOp | ExecOp | FileOp | MergeOp;

/** What people see of a vertex; never hashed. */
export interface VertexMeta {
  /** The step as progress shows it: `[build 2/5] RUN make`. */
  readonly name: string;
  readonly location?: SourceRange;
  readonly ignoreCache?: boolean;
  /** The name of the stage, or its number as text; absent for sources. */
  readonly stage?: string;
}

/** One piece of work and the vertices whose trees it needs. */
export interface Vertex {
  readonly id: VertexId;
  readonly op: Op;
  readonly inputs: readonly VertexId[];
  readonly meta: VertexMeta;
}

/** All vertices of a build. Iteration order is topological: inputs come first; acyclic by construction. */
export type BuildGraph = ReadonlyMap<VertexId, Vertex>;

/** Collects vertices; a vertex can only name inputs that were added before, so no cycle can be written. */
export class GraphBuilder {
  readonly #vertices = new Map<VertexId, Vertex>();

  /** Adds a vertex and gives its id; equal op and inputs give the vertex that is there already, with its first meta. */
  add(op: Op, inputs: readonly VertexId[], meta: VertexMeta): VertexId {
    for (const input of inputs) invariant(this.#vertices.has(input), `vertex ${input} is not in the graph`);
    const id = digestOf(canonicalJson([op, inputs, meta.ignoreCache === true ? meta.name : ''])).slice(
      'sha256:'.length,
    ) as VertexId;
    if (!this.#vertices.has(id)) this.#vertices.set(id, { id, op, inputs, meta });
    return id;
  }

  /** The graph of all vertices added so far. */
  build(): BuildGraph {
    return new Map(this.#vertices);
  }
}

/** The vertices that `target` needs, itself included, in topological order. */
export function reachable(graph: BuildGraph, target: VertexId): BuildGraph {
  const wanted = new Set<VertexId>();
  const pending = [target];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (wanted.has(id)) continue;
    wanted.add(id);
    const vertex = graph.get(id);
    invariant(vertex !== undefined, `vertex ${id} is not in the graph`);
    pending.push(...vertex.inputs);
  }
  return new Map([...graph].filter(([id]) => wanted.has(id)));
}

/** The vertices whose layers end up in the tree of `target`: the target, what it lies on, and so on down. Others only lend it files. */
export function layerVertices(graph: BuildGraph, target: VertexId): ReadonlySet<VertexId> {
  const found = new Set<VertexId>();
  const pending = [target];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    const vertex = graph.get(id);
    invariant(vertex !== undefined, `vertex ${id} is not in the graph`);
    pending.push(...stackedInputs(vertex));
  }
  return found;
}

function stackedInputs({ op, inputs }: Vertex): readonly VertexId[] {
  switch (op.kind) {
    case 'source':
      return [];
    case 'merge':
      return inputs;
    case 'exec':
      return op.root === 'input' ? inputs.slice(0, 1) : [];
    case 'file':
      return op.base === 'input' ? inputs.slice(0, 1) : [];
  }
}

/** The vertices that must run anew: those that ignore the cache, and all that lie on them. What was recorded for their recipes may be outdated. */
export function refreshedVertices(graph: BuildGraph): ReadonlySet<VertexId> {
  const refreshed = new Set<VertexId>();
  // Inputs come first.
  for (const { id, inputs, meta } of graph.values()) {
    if (meta.ignoreCache === true || inputs.some((input) => refreshed.has(input))) refreshed.add(id);
  }
  return refreshed;
}
