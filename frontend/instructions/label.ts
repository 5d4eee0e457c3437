import type { InstructionDef } from '../instruction.ts';
import { expandPairs, parsePairs, type NameValuesNode } from '../name-values.ts';
import { withHistory } from '../stage-state.ts';

/** LABEL: the image's metadata. */
export const label: InstructionDef<NameValuesNode> = {
  keyword: 'LABEL',
  flags: {},
  heredocs: 'refused',
  step: 'no',
  parse: parsePairs,
  lower: (node, state, context) => {
    const pairs = expandPairs(node, state, context);
    const labels = pairs.reduce((known, { name, value }) => known.with(name, value), state.labels);
    return withHistory(
      { ...state, labels },
      ['LABEL', ...pairs.map(({ name, value }) => `${name}=${value}`)].join(' '),
      'empty',
    );
  },
};
