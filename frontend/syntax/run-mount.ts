import { Flaw } from '../flaw.ts';
import { didYouMeanOneOf } from '../../src/core/nearest-name.ts';
import { parseBool } from '../../src/core/parse-bool.ts';

/** The kinds of `RUN --mount`. */
export type MountType = 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh';

/** One `RUN --mount`, its keys checked against its type. */
export interface MountSpec {
  readonly type: MountType;
  readonly from?: string;
  readonly source?: string;
  readonly target?: string;
  readonly id?: string;
  /** Variable that is to hold a secret. */
  readonly env?: string;
  readonly access: 'read-only' | 'read-write';
  readonly sharing?: 'shared' | 'private' | 'locked';
  readonly presence: 'required' | 'optional';
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly sizeBytes?: number;
}

const TYPES: readonly MountType[] = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'];
const SHARINGS = ['shared', 'private', 'locked'] as const;
const PLACE = { kind: 'flag', name: 'mount' } as const;
/** Other spellings of keys. */
const SYNONYMS: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
  rw: 'readwrite',
};
const KEYS = [
  'type',
  'from',
  'source',
  'target',
  'readonly',
  'readwrite',
  'id',
  'sharing',
  'required',
  'size',
  'mode',
  'uid',
  'gid',
  'env',
  ...Object.keys(SYNONYMS),
];

/** Where a mount's files come from, as far as that can be told before variables are replaced. @throws Flaw for a variable in `from` */
export function mountDraw(text: string): { readonly type: string; readonly from: string } {
  const fields = splitCsv(text).map(splitField);
  const valueOf = (wanted: string): string => fields.findLast(({ key }) => key === wanted)?.value ?? '';
  const from = valueOf('from');
  if (/\$./.test(from)) {
    throw new Flaw('VariableInFrom', `'from' doesn't support variable expansion, define alias stage instead`, {
      place: PLACE,
      help: `write FROM ${from} AS name, then --mount=from=name`,
    });
  }
  return { type: valueOf('type').toLowerCase(), from };
}

/** Parses `type=cache,target=/x,…`. `expand` replaces the variables of a value. @throws Flaw */
export function parseMount(text: string, expand: (value: string) => string): MountSpec {
  const values = new Map<string, string | undefined>();
  for (const field of splitCsv(text)) {
    const { key, value } = splitField(field);
    const name = SYNONYMS[key] ?? key;
    if (value === undefined && !['readonly', 'readwrite', 'required'].includes(name)) {
      throw flaw(
        KEYS.includes(key) ? `invalid field '${field}' must be a key=value pair` : unexpected(key, field),
        KEYS.includes(key) ? undefined : didYouMeanOneOf(key, KEYS),
      );
    }
    if (!KEYS.includes(key)) throw flaw(unexpected(key, field), didYouMeanOneOf(key, KEYS));
    if (name === 'readonly' || name === 'readwrite') {
      const on = value === undefined ? true : booleanOf(key, expand(value));
      values.set('access', on === (name === 'readonly') ? 'read-only' : 'read-write');
    } else {
      values.set(name, value === undefined || name === 'from' ? value : expand(value));
    }
  }
  return check(specOf(values), values);
}

function specOf(values: ReadonlyMap<string, string | undefined>): MountSpec {
  const type = oneOf('mount type', values.get('type')?.toLowerCase() ?? 'bind', TYPES);
  const sharing = values.get('sharing');
  const mode = numberOf('mode', values.get('mode'), 8);
  const uid = numberOf('uid', values.get('uid'), 10);
  const gid = numberOf('gid', values.get('gid'), 10);
  const size = values.get('size');
  const access = values.get('access') ?? (type === 'cache' || type === 'tmpfs' ? 'read-write' : 'read-only');
  const required = values.has('required') && booleanOf('required', values.get('required') ?? 'true');
  return {
    type,
    ...textOf(values, 'from'),
    ...textOf(values, 'source'),
    ...textOf(values, 'target'),
    ...textOf(values, 'id'),
    ...textOf(values, 'env'),
    access: access === 'read-only' ? 'read-only' : 'read-write',
    ...(sharing !== undefined && { sharing: oneOf('sharing value', sharing.toLowerCase(), SHARINGS) }),
    presence: required ? 'required' : 'optional',
    ...(mode !== undefined && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(size !== undefined && { sizeBytes: sizeOf(size) }),
  };
}

/** Refuses keys that the type does not have. */
function check(spec: MountSpec, values: ReadonlyMap<string, string | undefined>): MountSpec {
  const { type } = spec;
  const refuse = (key: string, allowed: readonly MountType[]): void => {
    if (values.has(key) && !allowed.includes(type))
      throw flaw(`unexpected key '${key}' for mount type '${type}'`, typesHelp(key, allowed));
  };
  refuse('required', ['secret', 'ssh']);
  refuse('size', ['tmpfs']);
  refuse('env', ['secret']);
  refuse('sharing', ['cache']);
  for (const key of ['mode', 'uid', 'gid']) {
    if (values.has(key) && (type === 'bind' || type === 'tmpfs'))
      throw flaw(`${key} not allowed for "${type}" type mounts`, typesHelp(key, ['cache', 'secret', 'ssh']));
  }
  if (type === 'secret') {
    if (spec.from !== undefined) throw flaw('secret mount should not have a from');
    if (spec.source !== undefined && spec.id !== undefined) throw flaw("both source and id can't be set");
    if ((spec.source ?? spec.target ?? spec.id) === undefined)
      throw flaw('invalid secret mount. one of source, target required', 'write --mount=type=secret,id=NAME');
  }
  return spec;
}

/** The fields of one line of comma separated values; a field in double quotes may hold commas. */
function splitCsv(text: string): readonly string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    const quoted = text[at] === '"';
    const match = quoted ? /"((?:[^"]|"")*)"(?=,|$)/y : /[^,]*/y;
    match.lastIndex = at;
    const found = match.exec(text);
    if (found === null || (!quoted && found[0].includes('"')))
      throw flaw('failed to parse csv mounts: misplaced quote');
    fields.push(quoted ? (found[1] ?? '').replaceAll('""', '"') : found[0]);
    at += found[0].length + 1;
    if (at > text.length) return fields;
  }
}

function splitField(field: string): { readonly key: string; readonly value: string | undefined } {
  const equals = field.indexOf('=');
  return equals === -1
    ? { key: field.toLowerCase(), value: undefined }
    : { key: field.slice(0, equals).toLowerCase(), value: field.slice(equals + 1) };
}

function textOf<K extends 'from' | 'source' | 'target' | 'id' | 'env'>(
  values: ReadonlyMap<string, string | undefined>,
  key: K,
): { readonly [P in K]?: string } {
  const value = values.get(key);
  return value === undefined || value === '' ? {} : ({ [key]: value } as { readonly [P in K]: string });
}

function oneOf<T extends string>(what: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw flaw(`unsupported ${what} ${JSON.stringify(value)}`, didYouMeanOneOf(value, allowed));
  return found;
}

function numberOf(key: string, text: string | undefined, radix: 8 | 10): number | undefined {
  if (text === undefined) return undefined;
  const value = (radix === 8 ? /^[0-7]+$/ : /^\d+$/).test(text) ? Number.parseInt(text, radix) : Number.NaN;
  if (value >= 0 && value <= 0xffff_ffff) return value;
  throw flaw(`invalid value ${text} for ${key}`);
}

function booleanOf(key: string, text: string): boolean {
  const value = parseBool(text);
  if (value === undefined) throw flaw(`invalid value for ${key}: ${text}`, didYouMeanOneOf(text, ['true', 'false']));
  return value;
}

/** `64m`, `1.5GiB`: powers of 1,024. */
function sizeOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  if (match === null) throw flaw(`invalid value for size: ${text}`, 'write it as 64m or 1g');
  return Math.trunc(
    Number(match[1]) * 1024 ** ' kmgtp'.indexOf(match[2] === '' ? ' ' : (match[2] ?? '').toLowerCase()),
  );
}

function typesHelp(key: string, types: readonly MountType[]): string {
  return `${key} is for --mount=${types.map((type) => `type=${type}`).join(', ')}`;
}

function unexpected(key: string, field: string): string {
  return `unexpected key '${key}' in '${field}'`;
}

function flaw(message: string, help?: string): Flaw {
  return new Flaw('InvalidMount', message, { place: PLACE, help });
}
