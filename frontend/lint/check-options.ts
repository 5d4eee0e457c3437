import type { Comment } from '../syntax/elements.ts';
import { didYouMean, didYouMeanOneOf } from '../../src/core/nearest-name.ts';
import { parseBool } from '../../src/core/parse-bool.ts';
import { Flaw } from '../flaw.ts';

/** Some rules by name, or all of them. */
export type RuleSelection = 'all' | ReadonlySet<string>;

/** What `# check=` says. */
export interface CheckOptions {
  readonly skip: RuleSelection;
  /** Experimental rules and own ones that are switched on. */
  readonly experimental: RuleSelection;
  /** `error`: findings fail the build. */
  readonly outcome: 'warn' | 'error';
}

/** No rule left out, none added, warnings only. */
export const DEFAULT_CHECK_OPTIONS: CheckOptions = { skip: new Set(), experimental: new Set(), outcome: 'warn' };

/** Parses `skip=A,B|all;error=true;experimental=A|all`. @throws Flaw for anything else. */
export function parseCheckOptions(text: string): CheckOptions {
  const parts = text.trim() === '' ? [] : text.split(';').map(parseOption);
  return Object.assign({}, DEFAULT_CHECK_OPTIONS, ...parts) as CheckOptions;
}

function parseOption(part: string): Partial<CheckOptions> {
  const equals = part.indexOf('=');
  const key = equals === -1 ? '' : part.slice(0, equals).trim();
  const value = part.slice(equals + 1).trim();
  switch (key) {
    case 'skip':
      return { skip: parseSelection(value) };
    case 'experimental':
      return { experimental: parseSelection(value) };
    case 'error':
      return { outcome: parseOutcome(value) };
  }
  throw new Flaw('InvalidCheck', `invalid check option ${JSON.stringify(key === '' ? part : key)}`, {
    help: didYouMean(key, ['skip', 'error', 'experimental']) ?? 'the options are: skip=, error=, experimental=',
  });
}

/** The rules that comments directly above an instruction switch off for it: `# check=skip=Rule reason`. */
export function skippedRules(comments: readonly Comment[]): RuleSelection {
  const names = new Set<string>();
  for (const { text } of comments) {
    const selection = /^check\s*=\s*skip\s*=\s*(\S+)/.exec(text)?.[1];
    if (selection === undefined) continue;
    const parsed = parseSelection(selection);
    if (parsed === 'all') return 'all';
    for (const name of parsed) names.add(name);
  }
  return names;
}

/** Whether `name` is among `selection`. */
export function selects(selection: RuleSelection, name: string): boolean {
  return selection === 'all' || selection.has(name);
}

function parseSelection(value: string): RuleSelection {
  return value === 'all' ? 'all' : new Set(value.split(',').map((name) => name.trim()));
}

function parseOutcome(value: string): CheckOptions['outcome'] {
  const parsed = parseBool(value);
  if (parsed === undefined)
    throw new Flaw('InvalidCheck', `failed to parse check option ${JSON.stringify(`error=${value}`)}`, {
      help: didYouMeanOneOf(value, ['true', 'false']),
    });
  return parsed ? 'error' : 'warn';
}
