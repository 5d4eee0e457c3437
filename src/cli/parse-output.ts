import type { ImageOutputOptions, Output } from '../build-request.ts';
import { BuildError } from '../core/error.ts';
import type { Compression } from '../oci/media-type.ts';
import { parseFields, splitRecord } from './parse-fields.ts';
import { parseTruth } from './parse-truth.ts';
import { didYouMeanOrKnown } from './did-you-mean.ts';

const TYPES = ['image', 'registry', 'oci', 'docker', 'local', 'tar', 'cacheonly'];
const IMAGE_KEYS = [
  'name',
  'oci-mediatypes',
  'compression',
  'compression-level',
  'force-compression',
  'rewrite-timestamp',
];
const KEYS: Readonly<Record<string, readonly string[]>> = {
  image: [...IMAGE_KEYS, 'push', 'push-by-digest', 'store'],
  registry: [...IMAGE_KEYS, 'push', 'push-by-digest', 'store'],
  oci: [...IMAGE_KEYS, 'dest', 'tar'],
  docker: [...IMAGE_KEYS, 'dest', 'tar'],
  local: ['dest'],
  tar: ['dest'],
  cacheonly: [],
};
/** How layers can be compressed, by the names that flags use. */
export const COMPRESSIONS: readonly Compression[] = ['uncompressed', 'gzip', 'zstd'];
/** The highest level of each compression. */
export const HIGHEST_LEVEL: Readonly<Record<Compression, number>> = { uncompressed: 0, gzip: 9, zstd: 22 };

/** The fields of one `--output`, checked to belong to its type. */
interface OutputFields {
  readonly text: string;
  readonly values: ReadonlyMap<string, string>;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * One `--output`: `type=TYPE[,KEY=VALUE…]`, a bare directory (`local`), or `-` (a tar on standard output).
 * `names` stays empty where the value has no `name=`: the caller puts the tags there.
 * @throws OUTPUT_INVALID, USAGE for misplaced quotes
 */
export function parseOutput(text: string): Output {
  const parsed = parseFields('--output', text);
  const [only] = parsed;
  if (parsed.length === 1 && only !== undefined && only.value === undefined) {
    const dest = text.trim();
    if (dest === '') throw invalid(text, 'it is empty', 'write type=TYPE,dest=PATH, a directory, or -');
    return dest === '-' ? { type: 'tar', dest } : { type: 'local', dest };
  }
  const type = parsed.find(({ key }) => key === 'type')?.value;
  if (type === undefined || type === '') throw invalid(text, 'it has no type', `write type=${TYPES.join('|')}`);
  const allowed = Object.hasOwn(KEYS, type) ? KEYS[type] : undefined;
  if (allowed === undefined)
    throw invalid(text, `no output type is named ${JSON.stringify(type)}`, didYouMeanOrKnown(type, TYPES));
  return toOutput(type, collectFields(text, { type, allowed }));
}

function collectFields(text: string, { type, allowed }: { type: string; allowed: readonly string[] }): OutputFields {
  const values = new Map<string, string>();
  const annotations: Record<string, string> = {};
  for (const field of parseFields('--output', text)) {
    const { key, value } = field;
    if (value === undefined) throw invalid(text, `the field ${JSON.stringify(key)} has no value`, `write ${key}=VALUE`);
    if (key === 'type') continue;
    if (key.startsWith('annotation.') && allowed.includes('name')) {
      annotations[annotationName(text, key)] = value;
    } else if (allowed.includes(key)) {
      values.set(key, value);
    } else {
      throw invalid(
        text,
        `type ${type} has no option ${JSON.stringify(key)}`,
        allowed.length === 0 ? undefined : didYouMeanOrKnown(key, allowed),
      );
    }
  }
  return { text, values, annotations };
}

/** An annotation's name as it was written: `parseFields` lower-cases keys. */
function annotationName(text: string, key: string): string {
  const field = splitRecord('--output', text).find((part) => part.toLowerCase().startsWith(`${key}=`)) ?? key;
  return field.split('=')[0]?.trim().slice('annotation.'.length) ?? key;
}

function toOutput(type: string, fields: OutputFields): Output {
  const dest = fields.values.get('dest');
  switch (type) {
    case 'local':
      if (dest === undefined || dest === '' || dest === '-')
        throw invalid(fields.text, 'a local output needs a directory', 'add dest=DIR');
      return { type: 'local', dest };
    case 'tar':
      return { type: 'tar', dest: dest ?? '-' };
    case 'cacheonly':
      return { type: 'cacheonly' };
    case 'oci':
      return ociOutput(fields);
    case 'docker':
      if (dest === undefined) return storeImage(fields, 'no');
      if (!readFlag(fields, 'tar', true))
        throw invalid(fields.text, 'a docker archive is always a tar', 'use type=oci for a directory');
      return { type: 'docker', names: names(fields), dest, ...imageOptions(fields) };
    default:
      return storeImage(fields, readFlag(fields, 'push', type === 'registry') ? 'yes' : 'no');
  }
}

function ociOutput(fields: OutputFields): Output {
  const dest = fields.values.get('dest') ?? '-';
  const form = readFlag(fields, 'tar', true) ? 'tar' : 'directory';
  if (form === 'directory' && dest === '-')
    throw invalid(fields.text, 'a layout directory needs a path', 'add dest=DIR');
  return { type: 'oci', names: names(fields), dest, form, ...imageOptions(fields) };
}

function storeImage(fields: OutputFields, push: 'yes' | 'no'): Output {
  const pushByDigest = readFlag(fields, 'push-by-digest', false);
  return {
    type: 'image',
    names: names(fields),
    push: pushByDigest ? 'yes' : push,
    store: readFlag(fields, 'store', true) ? 'yes' : 'no',
    ...(pushByDigest ? { pushByDigest } : {}),
    ...imageOptions(fields),
  };
}

function imageOptions(fields: OutputFields): ImageOutputOptions {
  const compression = readCompression(fields);
  const level = readLevel(fields, compression ?? 'gzip');
  return {
    ...(compression === undefined ? {} : { compression }),
    ...(level === undefined ? {} : { compressionLevel: level }),
    ...(readFlag(fields, 'force-compression', false) ? { forceCompression: true } : {}),
    ...(readFlag(fields, 'oci-mediatypes', true) ? {} : { mediaTypes: 'docker' as const }),
    ...(readFlag(fields, 'rewrite-timestamp', false) ? { rewriteTimestamp: true } : {}),
    ...(Object.keys(fields.annotations).length === 0 ? {} : { annotations: fields.annotations }),
  };
}

function names({ values }: OutputFields): readonly string[] {
  return (values.get('name') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function readCompression({ text, values }: OutputFields): Compression | undefined {
  const name = values.get('compression');
  if (name === undefined) return undefined;
  const found = COMPRESSIONS.find((known) => known === name);
  if (found === undefined)
    throw invalid(text, `unknown compression ${JSON.stringify(name)}`, didYouMeanOrKnown(name, COMPRESSIONS));
  return found;
}

function readLevel({ text, values }: OutputFields, compression: Compression): number | undefined {
  const level = values.get('compression-level');
  if (level === undefined) return undefined;
  const highest = HIGHEST_LEVEL[compression];
  if (!/^\d+$/.test(level) || Number(level) > highest) {
    throw invalid(text, `compression-level ${level} is not one of ${compression}'s`, `choose 0 to ${highest}`);
  }
  return Number(level);
}

function readFlag({ text, values }: OutputFields, key: string, absent: boolean): boolean {
  const value = values.get(key);
  if (value === undefined) return absent;
  const truth = parseTruth(value);
  if (truth === undefined) throw invalid(text, `${key}=${value} is neither true nor false`);
  return truth;
}

function invalid(output: string, reason: string, hint?: string): BuildError<'OUTPUT_INVALID'> {
  return new BuildError('OUTPUT_INVALID', { output, reason }, hint === undefined ? {} : { hint });
}
