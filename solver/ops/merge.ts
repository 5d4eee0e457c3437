import { invariant } from '../../src/core/error.ts';
import type { MergeOp } from '../../src/core/graph.ts';
import type { OpHandler } from '../op-handler.ts';

/** Stacks trees: layers can be restacked, so nothing is copied and nothing is worth a record. */
export const mergeHandler: OpHandler<MergeOp> = {
  cacheMap: (_op, { inputs }) => ({
    fields: [['op', 'merge']],
    inputs: inputs.map(() => ({ by: 'identity' })),
    records: 'never',
  }),
  run(_op, inputs) {
    const stack = inputs.flatMap((tree) => {
      invariant(tree.kind === 'layers', 'only trees of layers are merged');
      return tree.stack;
    });
    return Promise.resolve({ tree: { kind: 'layers', stack } });
  },
};
