import type { Diagnostic } from '../src/core/diagnostic.ts';
import { nearestName } from '../src/core/nearest-name.ts';
import type { Dockerfile } from './ast.ts';
import { Flaw } from './flaw.ts';
import type { LowerRequest, NamedContext } from './lower-request.ts';
import { PersistentMap } from './persistent.ts';
import { diagnosticOf } from './read-instructions.ts';

const NAME = 'SOURCE_DATE_EPOCH';
const LARGEST = 253_402_300_799;
const ADVICE = `give it in seconds since 1970, as in --build-arg ${NAME}=$(git log -1 --pretty=%ct)`;

/** What SOURCE_DATE_EPOCH came to, and the arguments that stages see. */
export interface SourceDateEpoch {
  readonly seconds: number | undefined;
  readonly request: LowerRequest;
  readonly globals: PersistentMap<string>;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * SOURCE_DATE_EPOCH in seconds: as the caller knows it, or as the build argument or a global ARG's default says. The word `context`, or a
 * named context, means its time; a directory has none, and then the argument is unset. The time of anything else is not kept.
 */
export function sourceDateEpoch(
  dockerfile: Dockerfile,
  o: { readonly request: LowerRequest; readonly globals: PersistentMap<string> },
): SourceDateEpoch {
  const { request } = o;
  if (request.epochSeconds !== undefined) return { ...o, seconds: request.epochSeconds, diagnostics: [] };
  const given = request.buildArgs.get(NAME);
  const text = given ?? o.globals.lookup(NAME) ?? '';
  if (/^\d+$/.test(text) && Number(text) <= LARGEST) return { ...o, seconds: Number(text), diagnostics: [] };
  const problem = text === '' || isTimeless(text, request) ? undefined : refusal(text, dockerfile, request);
  const arg = given === undefined ? dockerfile.globalArgs.find(({ node }) => declares(node.args)) : undefined;
  return {
    seconds: undefined,
    request: {
      ...request,
      buildArgs: new Map([...request.buildArgs].filter(([name]) => name !== NAME || text === '')),
    },
    globals: PersistentMap.of([...o.globals.entries()].filter(([name]) => name !== NAME || text === '')),
    diagnostics: problem === undefined ? [] : [diagnosticOf(problem, arg?.instruction.range)],
  };
}

function declares(args: readonly { readonly name: string }[]): boolean {
  return args.some(({ name }) => name === NAME);
}

/** Whether `text` names a directory of this machine, whose files' times say nothing. */
function isTimeless(text: string, { mainContext, namedContexts }: LowerRequest): boolean {
  const context: NamedContext | undefined = text === 'context' ? mainContext : namedContexts.get(text);
  return context?.kind === 'local' && context.fetched === undefined;
}

function refusal(text: string, { stages }: Dockerfile, { namedContexts }: LowerRequest): Flaw {
  const names = [...stages.flatMap(({ name }) => name ?? []), ...namedContexts.keys(), 'context'];
  if (names.includes(text) || stages.some(({ name }) => name === text.toLowerCase())) {
    const what = stages.some(({ name }) => name === text.toLowerCase()) ? 'a stage' : 'a context that was fetched';
    return new Flaw('InvalidEpoch', `${NAME}=${text}: the time of ${what} is not known`, { help: ADVICE });
  }
  const near = nearestName(text, names);
  const help = near === undefined ? ADVICE : `did you mean ${near}? Otherwise ${ADVICE}`;
  return new Flaw('InvalidEpoch', `invalid ${NAME}: ${text}`, { help });
}
