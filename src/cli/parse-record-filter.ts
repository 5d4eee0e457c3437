import { STORE_RECORD_TYPES, type RecordSelector } from '../core/store-record.ts';
import { didYouMeanOneOf } from '../core/nearest-name.ts';
import { parseBool } from '../core/parse-bool.ts';
import { parseDurationMs } from './parse-size.ts';
import { usageError } from './usage-error.ts';

/** What all occurrences of `--filter` say together. */
export interface RecordFilterText {
  /** Milliseconds: spare what was used since. */
  readonly untilMs?: number;
  readonly selectors: readonly RecordSelector[];
}

type Operator = '=' | '==' | '!=' | '~=';
type TextField = 'id' | 'parents' | 'description' | 'type';
type FlagMeaning = Extract<RecordSelector, { readonly operator: 'is' }>;

/** What `=` means: ids may be shortened, and of a description a part is enough; `==` is exact. */
const TEXTS: Readonly<Record<TextField, 'equals' | 'contains'>> = {
  id: 'contains',
  parents: 'equals',
  description: 'contains',
  type: 'equals',
};
const FLAGS: Readonly<Record<string, Pick<FlagMeaning, 'field' | 'value'>>> = {
  inuse: { field: 'inUse', value: 'yes' },
  mutable: { field: 'mutable', value: 'yes' },
  immutable: { field: 'mutable', value: 'no' },
  shared: { field: 'shared', value: 'yes' },
  private: { field: 'shared', value: 'no' },
};
const EXACT = { '=': undefined, '==': 'equals', '!=': 'differs' } as const;
const AGES = ['until', 'unused-for'];
const KEYS = [...AGES, ...Object.keys(TEXTS), ...Object.keys(FLAGS)];

/** The conditions of BuildKit's filters: `KEY`, `KEY=VALUE`, `KEY==VALUE`, `KEY!=VALUE` or `KEY~=PATTERN`; all must hold. @throws USAGE */
export function parseRecordFilter(texts: readonly string[]): RecordFilterText {
  const ages: number[] = [];
  const selectors: RecordSelector[] = [];
  for (const text of texts) {
    const { key, operator, value } = splitFilter(text);
    if (AGES.includes(key) && (operator === '=' || operator === '=='))
      ages.push(parseDurationMs(`--filter ${key}`, value));
    else selectors.push(toSelector({ key, operator, value }));
  }
  return { selectors, ...(ages.length === 0 ? {} : { untilMs: Math.max(...ages) }) };
}

interface FilterText {
  readonly key: string;
  readonly operator: Operator | undefined;
  readonly value: string;
}

function splitFilter(text: string): FilterText {
  const [, key = '', operator, value = ''] = /^([\w-]*)\s*(?:(==|!=|~=|=)\s*(.*))?$/s.exec(text.trim()) ?? [];
  if (!KEYS.includes(key.toLowerCase())) {
    throw usageError(`--filter: unknown filter ${JSON.stringify(key || text)}`, didYouMeanOneOf(key, KEYS));
  }
  const [, quoted] = /^"(.*)"$/s.exec(value) ?? [];
  return { key: key.toLowerCase(), operator: operator as Operator | undefined, value: quoted ?? value };
}

function toSelector({ key, operator, value }: FilterText): RecordSelector {
  const flag = FLAGS[key];
  if (flag !== undefined) return flagSelector(flag, { key, operator, value });
  if (!isTextField(key)) throw usageError(`--filter: ${key} takes a duration`, `write ${key}=24h`);
  switch (operator) {
    case undefined:
      throw usageError(`--filter: ${key} takes a value`, `write ${key}=VALUE`);
    case '~=':
      return { field: key, operator: 'matches', value: parsePattern(key, value) };
    case '=':
    case '==':
    case '!=':
      if (key === 'type') expectType(value);
      return { field: key, operator: EXACT[operator] ?? TEXTS[key], value };
  }
}

function flagSelector(flag: Pick<FlagMeaning, 'field' | 'value'>, { key, operator, value }: FilterText): FlagMeaning {
  const isTrue = operator === undefined || parseBool(value);
  if (operator === '~=' || isTrue === undefined) {
    throw usageError(`--filter: ${key} is true or false, not ${JSON.stringify(value)}`, `write ${key} or ${key}=false`);
  }
  const keeps = isTrue === (operator !== '!=');
  const opposite = flag.value === 'yes' ? 'no' : 'yes';
  return { field: flag.field, operator: 'is', value: keeps ? flag.value : opposite };
}

function isTextField(key: string): key is TextField {
  return Object.hasOwn(TEXTS, key);
}

function expectType(value: string): void {
  if (STORE_RECORD_TYPES.some((type) => type === value)) return;
  throw usageError(`--filter: unknown type ${JSON.stringify(value)}`, didYouMeanOneOf(value, [...STORE_RECORD_TYPES]));
}

function parsePattern(key: string, value: string): RegExp {
  try {
    return new RegExp(value, 'u');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw usageError(`--filter: ${key}~= takes a regular expression: ${error.message}`);
  }
}
