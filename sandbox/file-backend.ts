import { join } from 'node:path';
import { BuildError, invariant } from '../src/core/error.ts';
import type { FileBackend, ResolvedUser, SelectedFile } from '../src/core/file-backend.ts';
import type { FileOp } from '../src/core/graph.ts';
import type { LayerId, LayerStack } from '../src/core/snapshot.ts';
import type { Selection, Tree } from '../src/core/tree.ts';
import type { TreeUsage } from '../src/core/tree-usage.ts';
import type { Digest } from '../src/oci/digest.ts';
import { beginHere } from './begin-here.ts';
import { digestSelection } from './content-digest.ts';
import type { FilesRead, TreePaths } from './file-jobs.ts';
import type { FileWork } from './layer-codec.ts';
import { KnownUsers } from './known-users.ts';
import { readFileInTree } from './read-file.ts';
import { readSelectionList } from './selection-list.ts';

interface JobOptions {
  readonly signal?: AbortSignal | undefined;
}

/** File work of a build: large jobs in worker threads, small look-ups at once. */
export class WorkerFileBackend implements FileBackend {
  readonly #work: FileWork;
  /** The state of the files that each digest was made from, by tree and selection. */
  readonly #digested = new Map<string, string>();
  readonly #users: KnownUsers;

  constructor(work: FileWork) {
    this.#work = work;
    this.#users = new KnownUsers(work.store);
  }

  async contentDigest(tree: Tree, selection: Selection, o: JobOptions = {}): Promise<Digest> {
    const { store, pool } = this.#work;
    using hold = await store.hold(stackOf(tree), o);
    const args = { tree: pathsOf(tree, hold.directories), selection, statCache: this.#statCache, lists: this.#lists };
    const { digest, state } =
      beginHere(pool, (context) => digestSelection(args, context)) ?? (await pool.call('contentDigest', args, o));
    if (tree.kind === 'local') this.#digested.set(selectionKey(tree, selection), state);
    return digest;
  }

  async lookupSelection(digest: Digest): Promise<readonly SelectedFile[] | undefined> {
    return readSelectionList(this.#lists, digest);
  }

  async run(op: FileOp, inputs: readonly Tree[], o: JobOptions = {}): Promise<LayerId> {
    const { store } = this.#work;
    const [first, ...rest] = inputs;
    using holds = new DisposableStack();
    const others: TreePaths[] = [];
    for (const tree of rest) others.push(pathsOf(tree, holds.use(await store.hold(stackOf(tree), o)).directories));
    if (first === undefined) return await this.#run(op, { inputs, paths: others, ...o });
    // As a rule it is what the new layer goes on, and little of it matters.
    const run = (directories: readonly string[]): Promise<LayerId> =>
      this.#run(op, { inputs, paths: [pathsOf(first, directories), ...others], ...o });
    return await store.look(stackOf(first), run, o);
  }

  async readFile(stack: LayerStack, path: string, o: { readonly maxBytes: number }): Promise<Uint8Array | undefined> {
    const { maxBytes } = o;
    return this.#work.store.look(stack, (directories) => readFileInTree({ directories, path, maxBytes }));
  }

  resolveUser(stack: LayerStack, user: string): Promise<ResolvedUser> {
    return this.#users.resolve(stack, user);
  }

  usage(directory: string): Promise<TreeUsage> {
    return this.#work.pool.call('measureTree', { directory });
  }

  async exportTo(stack: LayerStack, to: string, o: JobOptions = {}): Promise<void> {
    using hold = await this.#work.store.hold(stack);
    await this.#work.pool.call('exportFiles', { directories: hold.directories, to }, o);
  }

  async *exportTar(
    stack: LayerStack,
    o: JobOptions & { readonly epochSeconds?: number | undefined } = {},
  ): AsyncIterable<Uint8Array> {
    using hold = await this.#work.store.hold(stack);
    yield* this.#work.pool.source('exportTar', { directories: hold.directories, epochSeconds: o.epochSeconds }, o);
  }

  async #run(
    op: FileOp,
    o: JobOptions & { readonly inputs: readonly Tree[]; readonly paths: readonly TreePaths[] },
  ): Promise<LayerId> {
    const { store, pool, xattrs } = this.#work;
    await using pending = store.create();
    const { upper, packed } = pending;
    const nowSeconds = Math.floor(Date.now() / 1000);
    const args = { op, inputs: o.paths, upper, packed, xattrs, statCache: this.#statCache, nowSeconds };
    const { form, read } = await pool.call('runFileOp', args, { signal: o.signal });
    this.#checkUnchanged(op, o.inputs, read);
    return pending.commit(form, op.base === 'scratch' ? 'nothing' : 'layers');
  }

  get #statCache(): string {
    return join(this.#work.store.stateDir, 'stat-cache');
  }

  get #lists(): string {
    return join(this.#work.store.stateDir, 'selection-lists');
  }

  /** What was copied must be what was digested: the layer is going to be known by that digest. */
  #checkUnchanged(op: FileOp, inputs: readonly Tree[], read: ReadonlyMap<number, FilesRead>): void {
    for (const [index, { state, latest }] of read) {
      const action = op.actions[index];
      invariant(action?.type === 'copy', 'only copies read files');
      const tree = inputs[action.from];
      if (tree?.kind !== 'local') continue;
      const digested = this.#digested.get(selectionKey(tree, { ...action, paths: action.sources }));
      if (digested !== undefined && digested !== state) {
        throw new BuildError('CONTEXT_CHANGED', { path: latest ?? action.sources.join(' ') });
      }
    }
  }
}

function stackOf(tree: Tree): LayerStack {
  return tree.kind === 'layers' ? tree.stack : [];
}

function pathsOf(tree: Tree, directories: readonly string[]): TreePaths {
  return tree.kind === 'layers' ? { kind: 'layers', directories } : tree;
}

function selectionKey(tree: Extract<Tree, { kind: 'local' }>, selection: Selection): string {
  const { paths, exclude, excludeNamed, parents } = selection;
  return JSON.stringify([tree.root, tree.ignore, paths, exclude, excludeNamed, parents]);
}
