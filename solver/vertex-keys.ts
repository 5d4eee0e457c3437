import type { CacheKey } from '../src/core/cache.ts';
import { invariant } from '../src/core/error.ts';
import type { FileBackend } from '../src/core/file-backend.ts';
import type { Vertex, VertexId } from '../src/core/graph.ts';
import type { Tree } from '../src/core/tree.ts';
import { canonicalJson } from '../src/oci/canonical-json.ts';
import { cacheKey, type KeyField } from './cache-key.ts';
import type { CacheMap, InputUse } from './op-handler.ts';

/** A key and the labelled fields it was made from. */
export interface ExplainedKey {
  readonly key: CacheKey;
  readonly fields: readonly KeyField[];
}

/** What making keys needs of the solver. */
export interface VertexKeysPorts {
  readonly files: Pick<FileBackend, 'contentDigest'>;
  readonly signal: AbortSignal;
  readonly vertex: (id: VertexId) => Vertex;
  readonly cacheMap: (vertex: Vertex) => Promise<CacheMap>;
  /** The tree of a source that has no recipe: asking for it must be cheap. */
  readonly sourceTree: (id: VertexId) => Promise<Tree>;
}

/** Makes the two keys of a vertex, each once. */
export class VertexKeys {
  readonly #ports: VertexKeysPorts;
  readonly #recipes = new Map<VertexId, Promise<ExplainedKey | undefined>>();
  readonly #contents = new Map<string, Promise<string>>();

  constructor(ports: VertexKeysPorts) {
    this.#ports = ports;
  }

  /** H(op, recipes of the inputs): nothing needs to be built for it. `undefined` for a source that only its content identifies. */
  recipe(vertex: Vertex): Promise<ExplainedKey | undefined> {
    let recipe = this.#recipes.get(vertex.id);
    if (recipe === undefined) {
      recipe = this.#makeRecipe(vertex);
      this.#recipes.set(vertex.id, recipe);
    }
    return recipe;
  }

  /** H(op, what the inputs are): the content of the files that matter where the op allows it, else their layers. */
  async result(vertex: Vertex, inputs: readonly Tree[]): Promise<ExplainedKey> {
    const map = await this.#ports.cacheMap(vertex);
    invariant(map.fields !== undefined, 'an op that is recorded has an identity');
    const ofInputs = await Promise.all(
      map.inputs.map(async (use, index): Promise<KeyField> => {
        const [tree, id] = [inputs[index], vertex.inputs[index]];
        invariant(tree !== undefined && id !== undefined, `input ${index} is solved`);
        if (use.by === 'content') return [inputLabel(index, use), await this.#content(id, use, tree)];
        invariant(tree.kind === 'layers', 'a local tree is only known by its content');
        return [inputLabel(index, use), tree.stack.join('\n')];
      }),
    );
    return explained('result', [...map.fields, ...ofInputs]);
  }

  async #makeRecipe(vertex: Vertex): Promise<ExplainedKey | undefined> {
    const map = await this.#ports.cacheMap(vertex);
    if (map.fields === undefined) return undefined;
    const ofInputs = await Promise.all(
      map.inputs.map(async (use, index): Promise<KeyField> => {
        const id = vertex.inputs[index];
        invariant(id !== undefined, `input ${index} is named`);
        const recipe = await this.recipe(this.#ports.vertex(id));
        if (recipe !== undefined) return [inputLabel(index, use), recipe.key];
        invariant(use.by === 'content', 'a source without a recipe is used by content');
        return [inputLabel(index, use), await this.#content(id, use, await this.#ports.sourceTree(id))];
      }),
    );
    return explained('recipe', [...map.fields, ...ofInputs]);
  }

  #content(input: VertexId, use: InputUse & { readonly by: 'content' }, tree: Tree): Promise<string> {
    const id = canonicalJson([input, use.selections]);
    let content = this.#contents.get(id);
    if (content === undefined) {
      const { files, signal } = this.#ports;
      const digests = use.selections.map((selection) => files.contentDigest(tree, selection, { signal }));
      content = Promise.all(digests).then((all) => all.join('\n'));
      this.#contents.set(id, content);
    }
    return content;
  }
}

function explained(kind: 'recipe' | 'result', fields: readonly KeyField[]): ExplainedKey {
  return { key: cacheKey(kind, fields), fields };
}

function inputLabel(index: number, use: InputUse): string {
  return `input ${index} (${use.by})`;
}
