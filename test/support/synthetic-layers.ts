import { writeFile } from 'node:fs/promises';
import type { LayerCodec, LayerTar } from '../../src/core/layer-codec.ts';
import type { LayerId } from '../../src/core/snapshot.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { TarEntry } from '../../src/oci/tar-header.ts';
import { packTar } from '../../src/oci/tar-writer.ts';

/** Layers as literals: files by path, whole. `null` removes what lies below (a whiteout). */
export type LayerFiles = Readonly<Record<string, string | Uint8Array | null>>;

/** A codec over layers that exist only as tars. It counts its work, so that tests see what was done twice. */
export interface SyntheticLayers extends LayerCodec {
  /** A new layer; its tar is made when it is asked for. */
  add(id: string, files: LayerFiles): LayerId;
  readonly written: readonly LayerId[];
}

/** An empty set of layers. */
export function syntheticLayers(): SyntheticLayers {
  const layers = new Map<LayerId, LayerFiles>();
  const written: LayerId[] = [];
  return {
    written,
    add: (id, files) => {
      layers.set(id as LayerId, files);
      return id as LayerId;
    },
    apply: () => Promise.reject(new Error('synthetic layers are only written')),
    writeTar: async (layer, _lower, { to, epochSeconds = 1_700_000_000 }): Promise<LayerTar> => {
      const files = layers.get(layer);
      if (files === undefined) throw new Error(`no layer ${layer}`);
      written.push(layer);
      const tar = await layerTar(files, epochSeconds);
      await writeFile(to, tar, { flag: 'wx' });
      return { diffId: digestOf(tar), size: tar.byteLength };
    },
  };
}

/** A layer's tar. */
export async function layerTar(files: LayerFiles, seconds = 1_700_000_000): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(packTar(items(files, seconds))));
}

async function* items(
  files: LayerFiles,
  seconds: number,
): AsyncGenerator<{ entry: TarEntry; body?: AsyncIterable<Uint8Array> }> {
  for (const [path, content] of Object.entries(files).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (content === null) yield { entry: entryFor(path.replace(/([^/]+)$/, '.wh.$1'), 0, seconds) };
    else {
      const bytes = Buffer.from(content);
      yield { entry: entryFor(path, bytes.byteLength, seconds), body: once(bytes) };
    }
  }
}

function entryFor(path: string, size: number, seconds: number): TarEntry {
  const owner = { uid: 0, gid: 0 };
  return {
    path: Buffer.from(path),
    type: 'file',
    mode: 0o644,
    ...owner,
    size,
    mtime: { seconds, nanoseconds: 0 },
    xattrs: new Map(),
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
