import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { exportDockerArchive } from '../../src/export/docker-archive.ts';
import { loadArchive } from '../../src/export/load-archive.ts';
import { exportOciLayout } from '../../src/export/oci-layout.ts';
import { validateImage } from '../../src/export/validate-image.ts';
import { APP, openExportRig } from '../support/export-rig.ts';
import { describeWith } from '../support/requires.ts';
import { temporaryStore } from '../support/store-rig.ts';

const COMPRESSIONS = ['uncompressed', 'gzip', 'zstd'] as const;

describeWith(['skopeo'], 'skopeo reads what is exported', () => {
  it('the store itself is an image layout, images are found by their full name', async () => {
    await using rig = await openExportRig();
    const { manifest } = await rig.assemble();
    await rig.names.set(APP, manifest);
    expect(inspect(`oci:${rig.state.root}:${APP}`)).toMatchObject({ Digest: manifest.digest, Os: 'linux' });
  });
  it.each(COMPRESSIONS)('an oci archive and directory, %s', async (compression) => {
    await using rig = await openExportRig();
    const { manifest, layers } = await rig.assemble({ compression });
    const images = [{ image: manifest, names: [APP] }];
    await exportOciLayout(rig.content, { images, form: 'tar', dest: join(rig.work, 'o.tar') });
    await exportOciLayout(rig.content, { images, form: 'directory', dest: join(rig.work, 'o') });
    const expected = { Digest: manifest.digest, Layers: layers.map(({ digest }) => digest) };
    expect(inspect(`oci-archive:${join(rig.work, 'o.tar')}:v1`)).toMatchObject(expected);
    expect(inspect(`oci:${join(rig.work, 'o')}:v1`)).toMatchObject(expected);
  });
  it.each(COMPRESSIONS)('a docker archive, %s, copied to a layout and back, still loads', async (compression) => {
    await using rig = await openExportRig();
    const { manifest, config } = await rig.assemble({ compression });
    const [first, layout, second] = ['a.tar', 'layout', 'b.tar'].map((name) => join(rig.work, name)) as [
      string,
      string,
      string,
    ];
    await exportDockerArchive(rig.content, { images: [{ image: manifest, names: [APP] }], dest: first });
    skopeo('copy', `docker-archive:${first}:app:v1`, `oci:${layout}:${APP}`);
    skopeo('copy', `oci:${layout}:${APP}`, `docker-archive:${second}:app:v1`);
    await using other = await temporaryStore();
    const [fromLayout] = await loadArchive(other, { input: layout });
    const [fromArchive] = await loadArchive(other, { input: second });
    for (const loaded of [fromLayout, fromArchive]) {
      expect(loaded?.names).toEqual([APP]);
      expect(await validateImage(other.content, loaded!.image)).toEqual([]);
    }
    const before = JSON.parse(Buffer.from(await rig.content.readDocument(config)).toString()) as {
      readonly rootfs: unknown;
    };
    const after = JSON.parse(skopeo('inspect', '--config', '--raw', `docker-archive:${second}`)) as unknown;
    expect(after).toMatchObject({ rootfs: before.rootfs });
  });
});

describeWith(['skopeo', 'umoci', 'root'], 'umoci unpacks what is exported', () => {
  it.each(['uncompressed', 'gzip'] as const)('%s', async (compression) => {
    await using rig = await openExportRig();
    const { manifest } = await rig.assemble({ compression });
    const layout = join(rig.work, 'layout');
    await exportOciLayout(rig.content, {
      images: [{ image: manifest, names: [APP] }],
      form: 'directory',
      dest: layout,
    });
    execFileSync('umoci', ['unpack', '--image', `${layout}:v1`, join(rig.work, 'bundle')]);
    expect(readFileSync(join(rig.work, 'bundle/rootfs/etc/app.conf'), 'utf8')).toBe('x=1\n');
    expect(() => readFileSync(join(rig.work, 'bundle/rootfs/etc/motd'))).toThrow('ENOENT');
  });
});

function skopeo(...args: readonly string[]): string {
  return execFileSync('skopeo', [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function inspect(image: string): unknown {
  return JSON.parse(skopeo('inspect', image));
}
