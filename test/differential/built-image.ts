import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { type MergedRootfs, mergeLayers } from './merged-rootfs.ts';
import { readTarFile, type TarFileEntry } from './tar-file.ts';

/** An image as whoever runs it sees it. */
export interface BuiltImage {
  readonly rootfs: MergedRootfs;
  /** The entries of each layer, the lowest first. */
  readonly layers: readonly (readonly TarFileEntry[])[];
  /** `config.config`, as in the JSON. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly author: string | undefined;
  readonly history: readonly { readonly created_by?: string; readonly empty_layer?: boolean }[];
}

interface Reference {
  readonly digest: string;
}

/** Reads the only image of an OCI layout directory. */
export async function readLayoutImage(layout: string): Promise<BuiltImage> {
  const blob: BlobReader = ({ digest }) => readFile(join(layout, 'blobs', digest.replace(':', '/')));
  const index = decode(await readFile(join(layout, 'index.json'))) as { manifests: readonly Reference[] };
  const [only, ...others] = index.manifests;
  if (only === undefined || others.length > 0) throw new Error(`${layout} has ${index.manifests.length} images`);
  return readManifest(await blob(only), blob);
}

/** Reads an image that containers/image wrote as `dir:`; unlike its OCI layouts these keep all of Docker's config. */
export async function readDirImage(folder: string): Promise<BuiltImage> {
  return readManifest(await readFile(join(folder, 'manifest.json')), ({ digest }) =>
    readFile(join(folder, digest.replace('sha256:', ''))),
  );
}

type BlobReader = (reference: Reference) => Promise<Buffer>;

async function readManifest(bytes: Buffer, blob: BlobReader): Promise<BuiltImage> {
  const manifest = decode(bytes) as { config: Reference; layers: readonly Reference[] };
  const config = decode(await blob(manifest.config)) as Partial<Pick<BuiltImage, 'config' | 'author' | 'history'>>;
  const layers = await Promise.all(manifest.layers.map(async (layer) => readTarFile(decompress(await blob(layer)))));
  return {
    rootfs: mergeLayers(layers),
    layers,
    config: config.config ?? {},
    author: config.author,
    history: config.history ?? [],
  };
}

function decode(bytes: Buffer): unknown {
  return JSON.parse(bytes.toString());
}

function decompress(bytes: Buffer): Buffer {
  if (bytes.readUInt16BE(0) === 0x1f8b) return gunzipSync(bytes);
  return bytes.readUInt32LE(0) === 0xfd2fb528 ? zstdDecompressSync(bytes) : bytes;
}
