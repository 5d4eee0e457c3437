import type { CacheExport, CacheExportOptions, CacheImport } from '../build-request.ts';
import { BuildError } from '../core/error.ts';
import { parseDigest } from '../oci/digest.ts';
import type { Compression } from '../oci/media-type.ts';
import { parseReference } from '../oci/reference.ts';
import { didYouMeanOrKnown } from './did-you-mean.ts';
import { COMPRESSIONS, HIGHEST_LEVEL } from './parse-output.ts';
import { parseTruth } from './parse-truth.ts';
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
interface CacheFields {
  readonly text: string;
  readonly type: string;
  readonly values: ReadonlyMap<string, string>;
}

/** One `--cache-from`: `type=TYPE,KEY=VALUE…`, or a reference. @throws CACHE_INVALID, UNSUPPORTED, USAGE for misplaced quotes */
export function parseCacheFrom(text: string): CacheImport {
  const fields = readFields('--cache-from', text, IMPORT_TYPES);
  if (fields.type === 'registry') return { type: 'registry', ref: reference(fields) };
  const digestText = fields.values.get('digest');
  const digest = digestText === undefined ? undefined : parseDigest(digestText);
  if (digestText !== undefined && digest === undefined)
    throw invalid(text, `${JSON.stringify(digestText)} is no digest`, 'write digest=sha256: and 64 hex digits');
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
  const [only] = parsed;
  if (parsed.length === 1 && only !== undefined && only.value === undefined)
    return { text, type: 'registry', values: new Map([['ref', text.trim()]]) };
  const type = parsed.find(({ key }) => key === 'type')?.value ?? '';
  const names = [...types.keys()];
  if (type === '') throw invalid(text, 'it has no type', `write type=${names.join('|')}`);
  if (VENDOR_TYPES.includes(type))
    throw new BuildError('UNSUPPORTED', { what: `the cache type ${type}`, instead: `use type=${names.join('|')}` });
  const allowed = types.get(type);
  if (allowed === undefined)
    throw invalid(text, `no cache type for ${flag} is named ${JSON.stringify(type)}`, didYouMeanOrKnown(type, names));
  const values = new Map<string, string>();
  for (const { key, value } of parsed) {
    if (value === undefined) throw invalid(text, `the field ${JSON.stringify(key)} has no value`, `write ${key}=VALUE`);
    if (key === 'type') continue;
    if (!allowed.includes(key)) throw unknownKey({ text, type, key, allowed });
    values.set(key, value);
  }
  return { text, type, values };
}

function exportOptions(fields: CacheFields): CacheExportOptions {
  const { text } = fields;
  const compression = choice(fields, 'compression', COMPRESSIONS);
  const isManifest = readFlag(fields, 'image-manifest', true);
  const isOci = readFlag(fields, 'oci-mediatypes', true);
  if (!isOci && isManifest && fields.values.has('image-manifest'))
    throw invalid(text, 'docker media types have no image manifest for caches', 'drop oci-mediatypes=false');
  return {
    mode: choice(fields, 'mode', ['min', 'max']) ?? 'min',
    ...(compression === undefined ? {} : { compression }),
    ...level(fields, compression ?? 'gzip'),
    ...(readFlag(fields, 'force-compression', false) ? { forceCompression: true } : {}),
    ...(isOci ? {} : { mediaTypes: 'docker' as const }),
    ...(isManifest && isOci ? {} : { form: 'index' as const }),
    ...(readFlag(fields, 'ignore-error', true) ? {} : { onError: 'fail' as const }),
  };
}

function level({ text, values }: CacheFields, compression: Compression): Pick<CacheExportOptions, 'compressionLevel'> {
  const given = values.get('compression-level');
  if (given === undefined) return {};
  const highest = HIGHEST_LEVEL[compression];
  if (!/^\d+$/.test(given) || Number(given) > highest)
    throw invalid(text, `compression-level ${given} is not one of ${compression}'s`, `choose 0 to ${highest}`);
  return { compressionLevel: Number(given) };
}

function reference(fields: CacheFields): string {
  const ref = required(fields, 'ref');
  if (parseReference(ref) === undefined) throw new BuildError('REFERENCE_INVALID', { reference: ref });
  return ref;
}

function tag({ text, values }: CacheFields): { readonly tag?: string } {
  const name = values.get('tag');
  if (name === undefined) return {};
  if (!TAG.test(name)) throw invalid(text, `${JSON.stringify(name)} is no tag`);
  return { tag: name };
}

function required({ text, type, values }: CacheFields, key: string): string {
  const value = values.get(key) ?? '';
  if (value === '') throw invalid(text, `type ${type} needs ${key}`, `add ${key}=${key === 'ref' ? 'NAME' : 'DIR'}`);
  return value;
}

function choice<T extends string>({ text, values }: CacheFields, key: string, known: readonly T[]): T | undefined {
  const value = values.get(key);
  const found = known.find((each) => each === value);
  if (value !== undefined && found === undefined)
    throw invalid(text, `unknown ${key} ${JSON.stringify(value)}`, didYouMeanOrKnown(value, known));
  return found;
}

function readFlag({ text, values }: CacheFields, key: string, absent: boolean): boolean {
  const value = values.get(key);
  if (value === undefined) return absent;
  const truth = parseTruth(value);
  if (truth === undefined) throw invalid(text, `${key}=${value} is neither true nor false`);
  return truth;
}

function unknownKey(o: {
  readonly text: string;
  readonly type: string;
  readonly key: string;
  readonly allowed: readonly string[];
}): BuildError<'CACHE_INVALID'> {
  const hint = o.allowed.length === 0 ? undefined : didYouMeanOrKnown(o.key, o.allowed);
  return invalid(o.text, `type ${o.type} has no option ${JSON.stringify(o.key)}`, hint);
}

function invalid(cache: string, reason: string, hint?: string): BuildError<'CACHE_INVALID'> {
  return new BuildError('CACHE_INVALID', { cache, reason }, hint === undefined ? {} : { hint });
}
