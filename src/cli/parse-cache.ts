import type { CacheExport, CacheExportOptions, CacheImport } from '../build-request.ts';
import { BuildError } from '../core/error.ts';
import { didYouMeanOneOf } from '../core/nearest-name.ts';
import { parseDigest } from '../oci/digest.ts';
import { parseReference } from '../oci/reference.ts';
import { type OptionFields, readChoice, readFlag, readLayerOptions, type Refusal, toOptions } from './option-fields.ts';
import { parseFields } from './parse-fields.ts';

const EXPORT_KEYS = [
  'mode',
  'compression',
  'compression-level',
  'force-compression',
  'oci-mediatypes',
  'image-manifest',
  'ignore-error',
];
const EXPORT_TYPES = new Map([
  ['inline', []],
  ['local', ['dest', 'tag', 'reset', ...EXPORT_KEYS]],
  ['registry', ['ref', ...EXPORT_KEYS]],
]);
const IMPORT_TYPES = new Map([
  ['local', ['src', 'tag', 'digest']],
  ['registry', ['ref']],
]);
/** Those of BuildKit that speak to a service of one vendor. */
const VENDOR_TYPES = ['gha', 's3', 'azblob'];
const TAG = /^\w[\w.-]{0,127}$/;

/** The fields of one cache, checked to belong to its type. */
interface CacheFields extends OptionFields {
  readonly type: string;
}

/** One `--cache-from`: `type=TYPE,KEY=VALUE…`, or a reference. @throws CACHE_INVALID, UNSUPPORTED, USAGE for misplaced quotes */
export function parseCacheFrom(text: string): CacheImport {
  const fields = readFields('--cache-from', text, IMPORT_TYPES);
  if (fields.type === 'registry') return { type: 'registry', ref: reference(fields) };
  const digestText = fields.values.get('digest');
  const digest = digestText === undefined ? undefined : parseDigest(digestText);
  if (digestText !== undefined && digest === undefined)
    throw fields.invalid(`${JSON.stringify(digestText)} is no digest`, 'write digest=sha256: and 64 hex digits');
  return { type: 'local', src: required(fields, 'src'), ...tag(fields), ...(digest === undefined ? {} : { digest }) };
}

/** One `--cache-to`: `type=TYPE,KEY=VALUE…`, or a reference. @throws CACHE_INVALID, UNSUPPORTED, USAGE for misplaced quotes */
export function parseCacheTo(text: string): CacheExport {
  const fields = readFields('--cache-to', text, EXPORT_TYPES);
  switch (fields.type) {
    case 'inline':
      return { type: 'inline' };
    case 'local':
      return {
        type: 'local',
        dest: required(fields, 'dest'),
        ...tag(fields),
        ...(readFlag(fields, 'reset', false) ? { unreferenced: 'drop' as const } : {}),
        ...exportOptions(fields),
      };
    default:
      return { type: 'registry', ref: reference(fields), ...exportOptions(fields) };
  }
}

function readFields(flag: string, text: string, types: ReadonlyMap<string, readonly string[]>): CacheFields {
  const parsed = parseFields(flag, text);
  const invalid = refusalOf(text);
  const [only] = parsed;
  if (parsed.length === 1 && only !== undefined && only.value === undefined)
    return { type: 'registry', values: new Map([['ref', text.trim()]]), invalid };
  const type = parsed.find(({ key }) => key === 'type')?.value ?? '';
  const names = [...types.keys()];
  if (type === '') throw invalid('it has no type', `write type=${names.join('|')}`);
  if (VENDOR_TYPES.includes(type))
    throw new BuildError('UNSUPPORTED', { what: `the cache type ${type}`, instead: `use type=${names.join('|')}` });
  const allowed = types.get(type);
  if (allowed === undefined)
    throw invalid(`no cache type for ${flag} is named ${JSON.stringify(type)}`, didYouMeanOneOf(type, names));
  return { type, ...toOptions(parsed, { type, allowed, invalid }) };
}

function exportOptions(fields: CacheFields): CacheExportOptions {
  const layers = readLayerOptions(fields);
  const isManifest = readFlag(fields, 'image-manifest', true);
  const isDocker = layers.mediaTypes === 'docker';
  if (isDocker && isManifest && fields.values.has('image-manifest'))
    throw fields.invalid('docker media types have no image manifest for caches', 'drop oci-mediatypes=false');
  return {
    mode: readChoice(fields, 'mode', ['min', 'max']) ?? 'min',
    ...layers,
    ...(isManifest && !isDocker ? {} : { form: 'index' }),
    ...(readFlag(fields, 'ignore-error', true) ? {} : { onError: 'fail' }),
  };
}

function reference(fields: CacheFields): string {
  const ref = required(fields, 'ref');
  if (parseReference(ref) === undefined) throw new BuildError('REFERENCE_INVALID', { reference: ref });
  return ref;
}

function tag({ values, invalid }: CacheFields): { readonly tag?: string } {
  const name = values.get('tag');
  if (name === undefined) return {};
  if (!TAG.test(name)) throw invalid(`${JSON.stringify(name)} is no tag`);
  return { tag: name };
}

function required({ type, values, invalid }: CacheFields, key: string): string {
  const value = values.get(key) ?? '';
  if (value === '') throw invalid(`type ${type} needs ${key}`, `add ${key}=${key === 'ref' ? 'NAME' : 'DIR'}`);
  return value;
}

function refusalOf(cache: string): Refusal {
  return (reason, hint) => new BuildError('CACHE_INVALID', { cache, reason }, hint === undefined ? {} : { hint });
}
