import type { ProgressListener, StepInfo } from '../core/progress.ts';

/** Work that is no vertex of the graph but takes time, shown as a step: resolving an image, exporting. */
export async function internalStep<T>(
  info: Omit<StepInfo, 'inputs'>,
  emit: ProgressListener,
  work: (
    status: (status: { readonly id: string; readonly current: number; readonly total?: number }) => void,
  ) => Promise<T>,
): Promise<T> {
  const step = info.id;
  emit({ type: 'planned', steps: [{ ...info, inputs: [] }], timeMs: Date.now() });
  emit({ type: 'started', step, timeMs: Date.now() });
  try {
    const result = await work((status) => emit({ type: 'status', step, ...status, timeMs: Date.now() }));
    emit({ type: 'completed', step, cached: 'no', timeMs: Date.now() });
    return result;
  } catch (error) {
    emit({ type: 'failed', step, error, timeMs: Date.now() });
    throw error;
  }
}
