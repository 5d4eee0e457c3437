import type { FileAction, FileOp, Source, VertexId } from '../../src/core/graph.ts';
import type { LowerContext, StageState } from '../instruction.ts';
import { hasName } from '../ownership.ts';
import { stepMeta } from '../step.ts';

/** Collects the inputs of one FileOp and adds it to the graph. */
export class CopyPlan {
  readonly #state: StageState;
  readonly #context: LowerContext;
  readonly #inputs: VertexId[] = [];

  constructor(state: StageState, context: LowerContext) {
    this.#state = state;
    this.#context = context;
  }

  /** The index of `vertex` among the inputs. */
  input(vertex: VertexId): number {
    const known = this.#inputs.indexOf(vertex);
    return known === -1 ? this.#inputs.push(vertex) - 1 : known;
  }

  /** The index of a source among the inputs. */
  source(source: Source, text: string): number {
    return this.input(
      this.#context.graph.add({ kind: 'source', source }, [], stepMeta(text, this.#state, this.#context)),
    );
  }

  commit(o: {
    readonly actions: readonly FileAction[];
    readonly clash: FileOp['clash'];
    readonly link: 'yes' | 'no';
    readonly text: string;
  }): StageState {
    const { graph, epochSeconds } = this.#context;
    const { root } = this.#state;
    const meta = stepMeta(o.text, this.#state, this.#context);
    const { actions, clash } = o;
    const common = {
      actions,
      ...(clash !== undefined && { clash }),
      ...(epochSeconds !== undefined && { epochSeconds }),
    };
    const step = this.#state.step + 1;
    if (o.link === 'no' || root === undefined) {
      const vertex = graph.add(
        { kind: 'file', base: root === undefined ? 'scratch' : 'input', ...common },
        this.#inputs,
        meta,
      );
      return { ...this.#state, root: vertex, step };
    }
    // Where names are looked up; left out where there are none, so that the layer does not depend on what lies below.
    const users = actions.some(namesOwner) ? { users: this.input(root) } : {};
    const layer = graph.add({ kind: 'file', base: 'scratch', ...common, ...users }, this.#inputs, meta);
    const merged = graph.add({ kind: 'merge' }, [root, layer], stepMeta(`LINK ${o.text}`, this.#state, this.#context));
    return { ...this.#state, root: merged, step };
  }
}

function namesOwner({ owner }: FileAction): boolean {
  return owner !== undefined && hasName(owner);
}
