/**
 * A process that fills a store, for tests that kill it: `node store-writer.ts STORE PREFIX COUNT`. Prints one line for each thing that it was
 * told is stored, after it was told so.
 */
import type { LayerId } from '../../src/core/snapshot.ts';
import { encodeDocument } from '../../src/oci/decode.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import type { CacheKey } from '../../src/core/cache.ts';
import { chunked, openStore, type OpenStore } from './store-rig.ts';

const [path = '', prefix = '', count = '1'] = process.argv.slice(2);
{
  await using store = await openStore(path);
  for (let i = 0; i < Number(count); i++) await writeOne(store, `${prefix}${i}`);
}

async function writeOne(store: OpenStore, id: string): Promise<void> {
  const layer = await store.content.write(chunked(`layer ${id} `.repeat(5000), 4096));
  const config = await store.content.write(
    encodeDocument({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
      history: [{ created_by: id }],
    }),
  );
  const manifest = await store.content.write(
    encodeDocument({
      schemaVersion: 2,
      mediaType: MediaTypes.manifest,
      config: { mediaType: MediaTypes.config, ...config },
      layers: [{ mediaType: MediaTypes.layer, ...layer }],
    }),
  );
  report('blob', manifest.digest);
  const record = { stack: [`layer-${id}` as LayerId], createdMs: 1, durationMs: 1, fields: id };
  await store.cache.record([digestOf(id) as CacheKey], record);
  report('record', id);
  await store.names.set(`docker.io/library/app:${id}`, { mediaType: MediaTypes.manifest, ...manifest });
  report('name', id);
}

function report(kind: string, what: string): void {
  process.stdout.write(`${kind} ${what}\n`);
}
