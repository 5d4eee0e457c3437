import { canonicalJson } from '../../src/oci/canonical-json.ts';
import type { FileBackend } from '../../src/core/file-backend.ts';
import type { CopyAction, FileOp } from '../../src/core/graph.ts';
import type { Selection } from '../../src/core/tree.ts';
import type { KeyField } from '../cache-key.ts';
import type { CacheMap, InputUse, OpContext, OpHandler } from '../op-handler.ts';

/** COPY, ADD, WORKDIR and heredocs: what is copied counts by content, what it is copied onto by identity. */
export function fileHandler(files: Pick<FileBackend, 'run'>): OpHandler<FileOp> {
  return {
    cacheMap: fileCacheMap,
    async run(op, inputs, { signal }) {
      const layer = await files.run(op, inputs, { signal });
      const base = op.base === 'input' ? inputs[0] : undefined;
      return { tree: { kind: 'layers', stack: base?.kind === 'layers' ? [...base.stack, layer] : [layer] } };
    },
  };
}

/** What identifies a file op, and how its inputs count. */
export function fileCacheMap(op: FileOp, { inputs }: Pick<OpContext, 'inputs'>): CacheMap {
  return {
    fields: [
      ['op', 'file'],
      ...op.actions.map((action, index): KeyField => [`action ${index}`, canonicalJson(action)]),
      ['epoch', String(op.epochSeconds ?? '')],
      ...(op.clash === undefined ? [] : [['clash', op.clash] as const]),
    ],
    inputs: inputs.map((_, index) => useOf(op, index)),
    records: 'keep',
  };
}

function useOf(op: FileOp, input: number): InputUse {
  const copies = op.actions.filter((action): action is CopyAction => action.type === 'copy' && action.from === input);
  const isTree = (op.base === 'input' && input === 0) || op.users === input;
  return isTree || copies.length === 0 ? { by: 'identity' } : { by: 'content', selections: copies.map(selectionOf) };
}

function selectionOf(action: CopyAction): Selection {
  const { sources: paths, exclude, excludeNamed, parents } = action;
  return { paths, exclude, parents, ...(excludeNamed !== undefined && { excludeNamed }) };
}
