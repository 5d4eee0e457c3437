import type { ImageOutputOptions, Output } from '../build-request.ts';
import { BuildError } from '../core/error.ts';
import { didYouMeanOneOf } from '../core/nearest-name.ts';
import { type Field, parseFields, splitRecord } from './parse-fields.ts';
import { type OptionFields, readFlag, readLayerOptions, type Refusal, toOptions } from './option-fields.ts';

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
/** The fields of one `--output`, checked to belong to its type. */
interface OutputFields extends OptionFields {
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * One `--output`: `type=TYPE[,KEY=VALUE…]`, a bare directory (`local`), or `-` (a tar on standard output).
 * `names` stays empty where the value has no `name=`: the caller puts the tags there.
 * @throws OUTPUT_INVALID, USAGE for misplaced quotes
 */
export function parseOutput(text: string): Output {
  const parsed = parseFields('--output', text);
  const invalid = refusalOf(text);
  const [only] = parsed;
  if (parsed.length === 1 && only !== undefined && only.value === undefined) {
    const dest = text.trim();
    if (dest === '') throw invalid('it is empty', 'write type=TYPE,dest=PATH, a directory, or -');
    return dest === '-' ? { type: 'tar', dest } : { type: 'local', dest };
  }
  const type = parsed.find(({ key }) => key === 'type')?.value;
  if (type === undefined || type === '') throw invalid('it has no type', `write type=${TYPES.join('|')}`);
  const allowed = Object.hasOwn(KEYS, type) ? KEYS[type] : undefined;
  if (allowed === undefined)
    throw invalid(`no output type is named ${JSON.stringify(type)}`, didYouMeanOneOf(type, TYPES));
  const isAnnotation = ({ key, value }: Field): boolean =>
    value !== undefined && key.startsWith('annotation.') && allowed.includes('name');
  const annotations = parsed
    .filter(isAnnotation)
    .map(({ key, value = '' }): readonly [string, string] => [annotationName(text, key), value]);
  const options = parsed.filter((field) => !isAnnotation(field));
  return toOutput(type, {
    ...toOptions(options, { type, allowed, invalid }),
    annotations: Object.fromEntries(annotations),
  });
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
        throw fields.invalid('a local output needs a directory', 'add dest=DIR');
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
        throw fields.invalid('a docker archive is always a tar', 'use type=oci for a directory');
      return { type: 'docker', names: names(fields), dest, ...imageOptions(fields) };
    default:
      return storeImage(fields, readFlag(fields, 'push', type === 'registry') ? 'yes' : 'no');
  }
}

function ociOutput(fields: OutputFields): Output {
  const dest = fields.values.get('dest') ?? '-';
  const form = readFlag(fields, 'tar', true) ? 'tar' : 'directory';
  if (form === 'directory' && dest === '-') throw fields.invalid('a layout directory needs a path', 'add dest=DIR');
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
  return {
    ...readLayerOptions(fields),
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

function refusalOf(output: string): Refusal {
  return (reason, hint) => new BuildError('OUTPUT_INVALID', { output, reason }, hint === undefined ? {} : { hint });
}
