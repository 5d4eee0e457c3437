import type { InstructionDef } from '../instruction.ts';
import { MESSAGES } from '../lint/rules.ts';
import { looksSecret } from '../lint/secret-names.ts';
import { expandPairs, parsePairs, type NameValuesNode } from '../name-values.ts';
import { withHistory } from '../stage-state.ts';

/** ENV: variables for later instructions and for the container. One instruction's pairs do not see each other. */
export const env: InstructionDef<NameValuesNode> = {
  keyword: 'ENV',
  flags: {},
  heredocs: 'refused',
  step: 'no',
  parse: parsePairs,
  lower: (node, state, context) => {
    const pairs = expandPairs(node, state, context);
    for (const { name } of pairs) {
      if (looksSecret(name))
        context.warn('SecretsUsedInArgOrEnv', MESSAGES.SecretsUsedInArgOrEnv('ENV', name), {
          place: { kind: 'word', text: name },
          help: 'mount it where it is needed: RUN --mount=type=secret,…',
        });
    }
    const imageEnv = pairs.reduce((known, { name, value }) => known.with(name, value), state.imageEnv);
    const scope = pairs.reduce((known, { name, value }) => known.with(name, value), state.scope);
    return withHistory(
      { ...state, imageEnv, scope },
      ['ENV', ...pairs.map(({ name, value }) => `${name}=${value}`)].join(' '),
      'empty',
    );
  },
};
