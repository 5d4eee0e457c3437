import type { LowerContext, StageState } from './instruction.ts';
import { MESSAGES } from './lint/rules.ts';

/** Notes that this stage has an instruction of which only the last counts; reports the earlier one that is thereby void. */
export function noteLast(
  keyword: 'CMD' | 'ENTRYPOINT' | 'HEALTHCHECK',
  state: StageState,
  context: LowerContext,
): StageState {
  const earlier = state.last[keyword];
  if (earlier !== undefined) {
    context.warn('MultipleInstructionsDisallowed', MESSAGES.MultipleInstructionsDisallowed(context.instruction.word), {
      at: earlier,
    });
  }
  return { ...state, last: { ...state.last, [keyword]: context.instruction } };
}
