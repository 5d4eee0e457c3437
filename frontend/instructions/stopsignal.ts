import { Flaw } from '../flaw.ts';
import type { InstructionDef } from '../instruction.ts';
import { expandWord } from '../stage-expand.ts';
import { withConfig, withHistory } from '../stage-state.ts';
import { didYouMean } from '../../src/core/nearest-name.ts';

interface StopsignalNode {
  readonly signal: string;
}

/** Linux' signals by name, without `SIG`. */
const SIGNALS =
  'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX'.split(
    ' ',
  );
const MAX_OFFSET = 15;

/** STOPSIGNAL: how a container is told to end. */
export const stopsignal: InstructionDef<StopsignalNode> = {
  keyword: 'STOPSIGNAL',
  flags: {},
  heredocs: 'refused',
  step: 'no',
  parse: ({ text }) => {
    if (text === '') throw new Flaw('MissingArgument', 'STOPSIGNAL requires exactly one argument');
    return { signal: text };
  },
  lower: (node, state, context) => {
    const StopSignal = expandWord(node.signal, state, context);
    if (!isSignal(StopSignal)) {
      throw new Flaw('InvalidSignal', `invalid signal: ${StopSignal}`, {
        place: { kind: 'argument', index: 0 },
        help: didYouMean(
          StopSignal.toUpperCase(),
          SIGNALS.map((name) => `SIG${name}`),
        ),
      });
    }
    return withHistory(withConfig(state, { StopSignal }), `STOPSIGNAL ${StopSignal}`, 'empty');
  },
};

function isSignal(text: string): boolean {
  if (/^[+-]?\d+$/.test(text)) return Number(text) !== 0;
  const name = text.toUpperCase().replace(/^SIG/, '');
  const offset = /^RTMIN\+(\d+)$|^RTMAX-(\d+)$/.exec(name);
  if (offset === null) return SIGNALS.includes(name);
  const count = Number(offset[1] ?? offset[2]);
  return count >= 1 && count <= MAX_OFFSET;
}
