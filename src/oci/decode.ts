import * as v from 'valibot';
import { canonicalJson } from './canonical-json.ts';
import { isDigest } from './digest.ts';
import { FormatError } from './format-error.ts';
import type { ImageConfig } from './image-config.ts';
import type { Index, Manifest } from './manifest.ts';
import { isIndexType, isManifestType } from './media-type.ts';

/** The largest manifest, index or config that is read, in bytes (as distribution-spec suggests for manifests). */
export const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;

const strings = v.array(v.string());
const record = v.record(v.string(), v.string());
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const digest = v.pipe(v.string(), v.guard(isDigest, 'not sha256: and 64 hex digits'));
/** Docker accepts a plain string for a list of one. */
const stringList = v.union([
  strings,
  v.pipe(
    v.string(),
    v.transform((text) => [text]),
  ),
]);
/** A set of names, written as an object whose values mean nothing. */
const nameSet = v.pipe(
  v.record(v.string(), v.unknown()),
  v.transform((set): Record<string, Record<string, never>> =>
    Object.fromEntries(Object.keys(set).map((name) => [name, {}])),
  ),
);

const platform = v.object({
  os: v.optional(v.string(), ''),
  architecture: v.optional(v.string(), ''),
  variant: v.exactOptional(v.string()),
  'os.version': v.exactOptional(v.string()),
  'os.features': v.exactOptional(strings),
});

const descriptor = v.object({
  mediaType: v.string(),
  digest,
  size,
  annotations: v.exactOptional(record),
  platform: v.exactOptional(platform),
  artifactType: v.exactOptional(v.string()),
});

const manifest = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.exactOptional(v.pipe(v.string(), v.check(isManifestType, 'not the media type of a manifest'))),
  artifactType: v.exactOptional(v.string()),
  config: descriptor,
  layers: v.optional(v.array(descriptor), []),
  annotations: v.exactOptional(record),
});

const index = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.exactOptional(v.pipe(v.string(), v.check(isIndexType, 'not the media type of an index'))),
  manifests: v.optional(v.array(descriptor), []),
  annotations: v.exactOptional(record),
});

const health = v.object({
  Test: v.exactOptional(strings),
  Interval: v.exactOptional(v.number()),
  Timeout: v.exactOptional(v.number()),
  StartPeriod: v.exactOptional(v.number()),
  StartInterval: v.exactOptional(v.number()),
  Retries: v.exactOptional(v.number()),
});

const containerConfig = v.object({
  User: v.exactOptional(v.string()),
  ExposedPorts: v.exactOptional(nameSet),
  Env: v.exactOptional(strings),
  Entrypoint: v.exactOptional(stringList),
  Cmd: v.exactOptional(stringList),
  Volumes: v.exactOptional(nameSet),
  WorkingDir: v.exactOptional(v.string()),
  Labels: v.exactOptional(record),
  StopSignal: v.exactOptional(v.string()),
  ArgsEscaped: v.exactOptional(v.boolean()),
  Healthcheck: v.exactOptional(health),
  OnBuild: v.exactOptional(strings),
  Shell: v.exactOptional(strings),
});

const historyEntry = v.object({
  created: v.exactOptional(v.string()),
  created_by: v.exactOptional(v.string()),
  author: v.exactOptional(v.string()),
  comment: v.exactOptional(v.string()),
  empty_layer: v.exactOptional(v.boolean()),
});

const imageConfig = v.object({
  created: v.exactOptional(v.string()),
  author: v.exactOptional(v.string()),
  architecture: v.string(),
  os: v.string(),
  'os.version': v.exactOptional(v.string()),
  'os.features': v.exactOptional(strings),
  variant: v.exactOptional(v.string()),
  config: v.optional(containerConfig, {}),
  rootfs: v.object({ type: v.literal('layers'), diff_ids: v.optional(v.array(digest), []) }),
  history: v.optional(v.array(historyEntry), []),
});

/**
 * The image manifest that `bytes` spell. Unknown members are left out, `null` counts as absent (Go writes it for empty lists).
 * @throws FormatError for anything that breaks manifest.md, or that could pass for an index as well (CVE-2021-41190).
 */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const document = parseDocument('manifest', bytes);
  refuseMembers('manifest', document, ['manifests']);
  return validate('manifest', manifest, document);
}

/**
 * The index (manifest list) that `bytes` spell, under the rules of `decodeManifest`.
 * @throws FormatError for anything that breaks image-index.md, or that could pass for a manifest as well (CVE-2021-41190).
 */
export function decodeIndex(bytes: Uint8Array): Index {
  const document = parseDocument('index', bytes);
  refuseMembers('index', document, ['layers', 'config', 'fsLayers']);
  return validate('index', index, document);
}

/**
 * The image config that `bytes` spell, Docker's extensions included; `config` and `history` are there even where the document lacks them.
 * @throws FormatError for anything that breaks config.md.
 */
export function decodeImageConfig(bytes: Uint8Array): ImageConfig {
  return decodeDocument('image config', imageConfig, bytes);
}

/** The bytes of a document as they are stored and hashed: canonical JSON in UTF-8. */
export function encodeDocument(document: Manifest | Index | ImageConfig): Buffer {
  return Buffer.from(canonicalJson(document));
}

/** The document of a kind that `schema` describes. @throws FormatError that names the place of the flaw */
export function decodeDocument<S extends v.GenericSchema>(
  what: string,
  schema: S,
  bytes: Uint8Array,
): v.InferOutput<S> {
  return validate(what, schema, parseDocument(what, bytes));
}

function parseDocument(what: string, bytes: Uint8Array): unknown {
  if (bytes.byteLength > MAX_DOCUMENT_BYTES) {
    throw new FormatError(`${what} of ${bytes.byteLength} bytes is larger than ${MAX_DOCUMENT_BYTES} bytes`);
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return JSON.parse(text, (_, value: unknown) => (value === null ? undefined : value));
  } catch (cause) {
    throw new FormatError(`${what} is not JSON`, { cause });
  }
}

function refuseMembers(what: string, document: unknown, names: readonly string[]): void {
  if (typeof document !== 'object' || document === null) return;
  const found = names.find((name) => Object.hasOwn(document, name));
  if (found !== undefined)
    throw new FormatError(`${what} has a member "${found}", so that it could be taken for another type`);
}

function validate<S extends v.GenericSchema>(what: string, schema: S, document: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, document, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const place = v.getDotPath(issue) ?? 'document';
  throw new FormatError(`${what}: ${place}: ${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}`);
}
