import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { extract, type Header } from 'tar-stream';

/** What a manifest or index says of a blob. */
interface Reference {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Readonly<Record<string, string>>;
}

/** The parts of an image config that tests look at. */
export interface ConfigJson {
  readonly created?: string;
  readonly architecture: string;
  readonly os: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly rootfs: { readonly type: string; readonly diff_ids: readonly string[] };
  readonly history: readonly {
    readonly created_by?: string;
    readonly empty_layer?: boolean;
    readonly comment?: string;
  }[];
}

/** One image of a layout that has been found valid. */
export interface ValidImage {
  readonly digest: string;
  readonly config: ConfigJson;
  readonly configDigest: string;
  /** Entry names per layer, as the tars have them. */
  readonly layers: readonly {
    readonly digest: string;
    readonly mediaType: string;
    readonly names: readonly string[];
  }[];
  /** `org.opencontainers.image.ref.name`, by which other programs find the image in the layout. */
  readonly refName: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

interface ManifestJson {
  readonly schemaVersion: number;
  readonly mediaType?: string;
  readonly config: Reference;
  readonly layers: readonly Reference[];
  readonly manifests?: readonly Reference[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Checks an OCI image layout against image-spec without any code of tsbuild: each descriptor's digest and size, each diff ID, that
 * layers, config and history agree, and that layer tars are well-formed, ordered and free of anything that escapes.
 * Throws with all findings; gives the images.
 */
export async function validateLayout(folder: string): Promise<readonly ValidImage[]> {
  const flaws: string[] = [];
  const layout = JSON.parse(await readFile(join(folder, 'oci-layout'), 'utf8')) as Record<string, unknown>;
  if (layout['imageLayoutVersion'] !== '1.0.0') flaws.push('oci-layout: wrong version');
  const index = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')) as { manifests: readonly Reference[] };
  const reached = new Set<string>();
  const blobs: BlobReader = { folder, flaws, reached };
  const images: ValidImage[] = [];
  for (const entry of index.manifests) images.push(...(await validateEntry(blobs, entry)));
  const stored = await readdir(join(folder, 'blobs/sha256'));
  for (const hex of stored)
    if (!reached.has(`sha256:${hex}`)) flaws.push(`blob ${hex} is in the layout but nothing refers to it`);
  if (flaws.length > 0) throw new Error(`${folder} is no valid image layout:\n${flaws.join('\n')}`);
  return images;
}

interface BlobReader {
  readonly folder: string;
  readonly flaws: string[];
  readonly reached: Set<string>;
}

async function validateEntry(blobs: BlobReader, entry: Reference): Promise<readonly ValidImage[]> {
  const document = JSON.parse((await readBlob(blobs, entry)).toString()) as ManifestJson;
  if (document.mediaType !== undefined && document.mediaType !== entry.mediaType) {
    blobs.flaws.push(`${entry.digest}: media type ${document.mediaType}, but its descriptor says ${entry.mediaType}`);
  }
  if (document.manifests === undefined) return [await validateManifest(blobs, { entry, manifest: document })];
  const images: ValidImage[] = [];
  for (const part of document.manifests) {
    images.push(
      ...(await validateEntry(blobs, { ...part, annotations: { ...entry.annotations, ...part.annotations } })),
    );
  }
  return images;
}

async function validateManifest(
  blobs: BlobReader,
  { entry, manifest }: { entry: Reference; manifest: ManifestJson },
): Promise<ValidImage> {
  const { flaws } = blobs;
  if (manifest.schemaVersion !== 2) flaws.push(`${entry.digest}: schemaVersion ${manifest.schemaVersion}`);
  const config = JSON.parse((await readBlob(blobs, manifest.config)).toString()) as ConfigJson;
  const layers: ValidImage['layers'][number][] = [];
  for (const [at, layer] of manifest.layers.entries()) {
    const { diffId, names } = await readLayer(blobs, layer);
    if (diffId !== config.rootfs.diff_ids[at])
      flaws.push(`layer ${at}: diff ID ${diffId}, config says ${config.rootfs.diff_ids[at]}`);
    layers.push({ digest: layer.digest, mediaType: layer.mediaType, names });
  }
  flaws.push(...configFlaws(config, layers.length));
  return {
    digest: entry.digest,
    config,
    configDigest: manifest.config.digest,
    layers,
    refName: entry.annotations?.['org.opencontainers.image.ref.name'],
    annotations: manifest.annotations ?? {},
  };
}

function configFlaws(config: ConfigJson, layers: number): readonly string[] {
  const flaws: string[] = [];
  if (config.rootfs.type !== 'layers') flaws.push(`config: rootfs.type ${config.rootfs.type}`);
  if (config.rootfs.diff_ids.length !== layers) {
    flaws.push(`config: ${config.rootfs.diff_ids.length} diff IDs for ${layers} layers`);
  }
  const filled = config.history.filter((step) => step.empty_layer !== true).length;
  if (filled !== layers) flaws.push(`config: ${filled} steps of history have layers, the manifest has ${layers}`);
  if (config.architecture === '' || config.os === '') flaws.push('config: no platform');
  if (config.created !== undefined && Number.isNaN(Date.parse(config.created)))
    flaws.push(`config: created ${config.created}`);
  return flaws;
}

async function readBlob(blobs: BlobReader, reference: Reference): Promise<Buffer> {
  const path = await blobPath(blobs, reference);
  const bytes = await readFile(path);
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  if (digest !== reference.digest) blobs.flaws.push(`${reference.digest}: its bytes have digest ${digest}`);
  return bytes;
}

async function blobPath({ folder, flaws, reached }: BlobReader, reference: Reference): Promise<string> {
  reached.add(reference.digest);
  const path = join(folder, 'blobs', reference.digest.replace(':', '/'));
  const { size } = await stat(path);
  if (size !== reference.size) flaws.push(`${reference.digest}: ${size} bytes, its descriptor says ${reference.size}`);
  return path;
}

async function readLayer(blobs: BlobReader, layer: Reference): Promise<{ diffId: string; names: readonly string[] }> {
  const [stored, diff] = [createHash('sha256'), createHash('sha256')];
  const bytes = createReadStream(await blobPath(blobs, layer)).on('data', (chunk) => stored.update(chunk));
  const plain = new PassThrough().on('data', (chunk: Buffer) => diff.update(chunk));
  const headers: Header[] = [];
  const reader = extract();
  const listing = (async (): Promise<void> => {
    for await (const entry of reader) {
      headers.push(entry.header);
      entry.resume();
    }
  })();
  await Promise.all([pipeline([bytes, ...decompressors(layer.mediaType), plain, reader]), listing]);
  const digest = `sha256:${stored.digest('hex')}`;
  if (digest !== layer.digest) blobs.flaws.push(`layer ${layer.digest}: its bytes have digest ${digest}`);
  blobs.flaws.push(...tarFlaws(headers).map((flaw) => `layer ${layer.digest}: ${flaw}`));
  return { diffId: `sha256:${diff.digest('hex')}`, names: headers.map(({ name }) => name) };
}

function decompressors(mediaType: string): (NodeJS.ReadWriteStream & Readable)[] {
  if (/[.+]gzip$/.test(mediaType)) return [createGunzip()];
  return /[.+]zstd$/.test(mediaType) ? [createZstdDecompress()] : [];
}

function tarFlaws(headers: readonly Header[]): readonly string[] {
  const seen = new Set<string>();
  return headers.flatMap((header) => {
    const path = header.name.replace(/\/$/, '');
    const flaws: string[] = [];
    if (seen.has(path)) flaws.push(`${path} twice`);
    seen.add(path);
    if (path.startsWith('/') || path.split('/').includes('..')) flaws.push(`${path} leaves the root`);
    if (header.type === 'link' && !seen.has((header.linkname ?? '').replace(/\/$/, ''))) {
      flaws.push(`${path} is a hard link to ${header.linkname}, which does not come before it`);
    }
    if ((header.uname ?? '') !== '' || (header.gname ?? '') !== '') flaws.push(`${path} names its owner`);
    return flaws;
  });
}
