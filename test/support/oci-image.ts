import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** An image of a few layers, given as uncompressed tars. */
export interface SimpleImage {
  /** Oldest first. */
  readonly layerTars: readonly string[];
  readonly name: string;
  /** The `config` part of the image config. */
  readonly config: Readonly<Record<string, unknown>>;
}

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** The architecture of this machine, in the words of image-spec. */
export const hostArchitecture: string = architectures[process.arch] ?? process.arch;

/** Writes an OCI image layout with the image in it, without any code of tsbuild. The layer stays uncompressed. */
export async function writeOciLayout(folder: string, image: SimpleImage): Promise<void> {
  await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
  const layers = await Promise.all(image.layerTars.map(async (tar) => writeBlob(folder, await readFile(tar))));
  const config = await writeBlob(folder, {
    created: '2024-01-01T00:00:00Z',
    architecture: hostArchitecture,
    os: 'linux',
    config: image.config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    history: layers.map(() => ({ created: '2024-01-01T00:00:00Z', created_by: `ADD ${image.name} / # test` })),
  });
  const manifest = await writeBlob(folder, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: layers.map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer })),
  });
  const entry = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    ...manifest,
    platform: { architecture: hostArchitecture, os: 'linux' },
    annotations: { 'org.opencontainers.image.ref.name': tagOf(image.name), 'io.containerd.image.name': image.name },
  };
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}

async function writeBlob(folder: string, content: Buffer | object): Promise<{ digest: string; size: number }> {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  const hex = createHash('sha256').update(bytes).digest('hex');
  await writeFile(join(folder, 'blobs/sha256', hex), bytes);
  return { digest: `sha256:${hex}`, size: bytes.length };
}

/** What follows the last colon, unless that belongs to a port. */
function tagOf(name: string): string {
  const last = name.slice(name.lastIndexOf('/') + 1);
  return last.includes(':') ? last.slice(last.indexOf(':') + 1) : 'latest';
}
