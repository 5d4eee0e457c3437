import { readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ContentStore } from '../../src/core/content.ts';
import type { ExportImage } from '../../src/export/layout-files.ts';
import { loadArchive } from '../../src/export/load-archive.ts';
import { validateImage } from '../../src/export/validate-image.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { APP, openExportRig } from '../support/export-rig.ts';
import { temporaryStore } from '../support/store-rig.ts';
import { codeOf } from './content-store.ts';

/** An exporter of images to a path. */
export type ExporterUnderTest = (
  content: ContentStore,
  o: { readonly images: readonly ExportImage[]; readonly dest: string },
) => Promise<void>;

/** What every exporter of images to files does. */
export function exporterContract(name: string, exportTo: ExporterUnderTest): void {
  describe(`exporter: ${name}`, () => {
    it.each(['uncompressed', 'gzip', 'zstd'] as const)(
      '%s: what it writes loads into another store, sound and named',
      async (compression) => {
        await using rig = await openExportRig();
        await using other = await temporaryStore();
        const { manifest, config } = await rig.assemble({ compression });
        const dest = join(rig.work, 'out');
        await exportTo(rig.content, { images: [{ image: manifest, names: [APP, 'registry.test:5000/a/b:v2'] }], dest });
        expect(readdirSync(rig.work)).toEqual(['out']);
        const loaded = await loadArchive(other, { input: dest });
        expect(loaded).toEqual([{ image: manifest, names: [APP, 'registry.test:5000/a/b:v2'] }]);
        expect(await validateImage(other.content, manifest)).toEqual([]);
        expect((await other.names.list()).map(({ reference }) => reference)).toEqual([
          APP,
          'registry.test:5000/a/b:v2',
        ]);
        expect(await other.content.lookup(config.digest)).toBeDefined();
      },
    );
    it('several images: all arrive, shared blobs once', async () => {
      await using rig = await openExportRig();
      await using other = await temporaryStore();
      const [one, two] = [await rig.assemble(), await rig.assemble({ compression: 'gzip' })];
      const dest = join(rig.work, 'out');
      const images = [one, two, one].map(({ manifest }, i) => ({
        image: manifest,
        names: [`docker.io/library/app:${i}`],
      }));
      await exportTo(rig.content, { images, dest });
      const loaded = await loadArchive(other, { input: dest });
      expect(loaded.flatMap(({ names }) => names).toSorted()).toEqual(images.flatMap(({ names }) => names));
    });
    it('the same image gives the same bytes', async () => {
      await using rig = await openExportRig();
      const { manifest } = await rig.assemble();
      const images = [{ image: manifest, names: [APP] }];
      for (const dest of ['a', 'b']) await exportTo(rig.content, { images, dest: join(rig.work, dest) });
      expect(treeDigest(join(rig.work, 'a'))).toEqual(treeDigest(join(rig.work, 'b')));
    });
    it('a blob that is missing or damaged: nothing is left, and what was there stays', async () => {
      await using rig = await openExportRig();
      const { manifest, layers } = await rig.assemble();
      const images = [{ image: manifest, names: [APP] }];
      const layer = layers[0]!;
      writeFileSync(rig.content.path(layer.digest), Buffer.alloc(layer.size));
      expect(await codeOf(exportTo(rig.content, { images, dest: join(rig.work, 'out') }))).toBe('DIGEST_MISMATCH');
      rmSync(rig.content.path(layer.digest));
      expect(await codeOf(exportTo(rig.content, { images, dest: join(rig.work, 'out') }))).toBe('BLOB_NOT_FOUND');
      expect(readdirSync(rig.work)).toEqual([]);
    });
    it('a symbolic link at the destination is refused, and its target stays', async () => {
      await using rig = await openExportRig();
      const { manifest } = await rig.assemble();
      writeFileSync(join(rig.work, 'canary'), 'alive');
      symlinkSync('canary', join(rig.work, 'out'));
      const images = [{ image: manifest, names: [APP] }];
      expect(await codeOf(exportTo(rig.content, { images, dest: join(rig.work, 'out') }))).toBe('OUTPUT_FAILED');
      expect(readdirSync(rig.work)).toEqual(['canary', 'out']);
    });
    it('a bad name is refused before anything is written', async () => {
      await using rig = await openExportRig();
      const { manifest } = await rig.assemble();
      const images = [{ image: manifest, names: ['App:v1'] }];
      expect(await codeOf(exportTo(rig.content, { images, dest: join(rig.work, 'out') }))).toBe('REFERENCE_INVALID');
      expect(readdirSync(rig.work)).toEqual([]);
    });
  });
}

/** Every file below `path`, or `path` itself, with the digest of its content. */
function treeDigest(path: string): readonly string[] {
  if (statSync(path).isFile()) return [digestOf(readFileSync(path))];
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).toSorted();
  return names
    .filter((name) => statSync(join(path, name)).isFile())
    .map((name) => `${name} ${digestOf(readFileSync(join(path, name)))}`);
}
