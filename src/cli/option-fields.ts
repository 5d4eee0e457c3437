import type { LayerBlobOptions } from '../build-request.ts';
import { didYouMeanOneOf } from '../core/nearest-name.ts';
import { parseBool } from '../core/parse-bool.ts';
import type { Compression } from '../oci/media-type.ts';
import type { Field } from './parse-fields.ts';

/** The error for a value of a flag that cannot be; `hint` is the way out. */
export type Refusal = (reason: string, hint?: string) => Error;

/** The options of a value such as `type=oci,dest=out.tar`, checked to belong to its type. */
export interface OptionFields {
  readonly values: ReadonlyMap<string, string>;
  readonly invalid: Refusal;
}

const COMPRESSIONS: readonly Compression[] = ['uncompressed', 'gzip', 'zstd'];
const HIGHEST_LEVEL: Readonly<Record<Compression, number>> = { uncompressed: 0, gzip: 9, zstd: 22 };

/** The options among `fields`, which are all that a type has; the type itself is none. */
export function toOptions(
  fields: readonly Field[],
  o: { readonly type: string; readonly allowed: readonly string[]; readonly invalid: Refusal },
): OptionFields {
  const { type, allowed, invalid } = o;
  const values = new Map<string, string>();
  for (const { key, value } of fields) {
    if (value === undefined) throw invalid(`the field ${JSON.stringify(key)} has no value`, `write ${key}=VALUE`);
    if (key === 'type') continue;
    if (!allowed.includes(key)) {
      const hint = allowed.length === 0 ? undefined : didYouMeanOneOf(key, allowed);
      throw invalid(`type ${type} has no option ${JSON.stringify(key)}`, hint);
    }
    values.set(key, value);
  }
  return { values, invalid };
}

/** The one of `known` that an option names; `undefined` where it is absent. */
export function readChoice<T extends string>(
  { values, invalid }: OptionFields,
  key: string,
  known: readonly T[],
): T | undefined {
  const value = values.get(key);
  const found = known.find((each) => each === value);
  if (value !== undefined && found === undefined)
    throw invalid(`unknown ${key} ${JSON.stringify(value)}`, didYouMeanOneOf(value, known));
  return found;
}

/** Whether an option is true; `absent` where it is not given. */
export function readFlag({ values, invalid }: OptionFields, key: string, absent: boolean): boolean {
  const value = values.get(key);
  if (value === undefined) return absent;
  const truth = parseBool(value);
  if (truth === undefined) throw invalid(`${key}=${value} is neither true nor false`);
  return truth;
}

/** `compression`, `compression-level`, `force-compression` and `oci-mediatypes`. */
export function readLayerOptions(fields: OptionFields): LayerBlobOptions {
  const compression = readChoice(fields, 'compression', COMPRESSIONS);
  const level = readLevel(fields, compression ?? 'gzip');
  return {
    ...(compression === undefined ? {} : { compression }),
    ...(level === undefined ? {} : { compressionLevel: level }),
    ...(readFlag(fields, 'force-compression', false) ? { forceCompression: true } : {}),
    ...(readFlag(fields, 'oci-mediatypes', true) ? {} : { mediaTypes: 'docker' }),
  };
}

function readLevel({ values, invalid }: OptionFields, compression: Compression): number | undefined {
  const level = values.get('compression-level');
  if (level === undefined) return undefined;
  const highest = HIGHEST_LEVEL[compression];
  if (/^\d+$/.test(level) && Number(level) <= highest) return Number(level);
  throw invalid(`compression-level ${level} is not one of ${compression}'s`, `choose 0 to ${highest}`);
}
