import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { writeImageIndex } from '../../src/export/image-index.ts';
import { verifyStore } from '../../src/store/verify-store.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { APP, openExportRig } from '../support/export-rig.ts';

describe('verify-store', () => {
  it('a sound store has no problems', async () => {
    await using rig = await openExportRig();
    await rig.names.set(APP, (await rig.assemble({ compression: 'gzip' })).manifest);
    expect(await verifyStore(rig)).toEqual([]);
  });
  it('a damaged blob is named, and so is the image that needs it', async () => {
    await using rig = await openExportRig();
    const { manifest, layers } = await rig.assemble();
    await rig.names.set(APP, manifest);
    writeFileSync(rig.content.path(layers[0]!.digest), 'damaged');
    expect((await verifyStore(rig)).map(({ what }) => what)).toEqual([layers[0]!.digest, APP]);
  });
  it('a missing manifest is a problem, a platform that was never fetched is none', async () => {
    await using rig = await openExportRig();
    const { manifest } = await rig.assemble();
    const absent = { mediaType: MediaTypes.manifest, digest: digestOf('arm64'), size: 5 };
    const index = await writeImageIndex(rig.content, {
      images: [
        { manifest, platform: { os: 'linux', architecture: 'amd64' } },
        { manifest: absent, platform: { os: 'linux', architecture: 'arm64' } },
      ],
      mediaTypes: 'oci',
    });
    await rig.names.set(APP, index);
    expect(await verifyStore(rig)).toEqual([]);
    await rig.content.remove(index.digest);
    expect((await verifyStore(rig)).map(({ what }) => what)).toEqual([APP]);
  });
});
