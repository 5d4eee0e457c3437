import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openSandbox } from '../../sandbox/open.ts';
import { openSlots } from '../../src/core/concurrency.ts';
import { isDigest } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { hostPlatform } from '../../src/oci/platform.ts';
import { openImageSource } from '../../src/source/image.ts';
import { openTestRegistry } from '../contracts/registry-server.ts';
import { openDockerRegistry } from '../support/docker-registry.ts';
import { writeOciLayout } from '../support/oci-image.ts';
import { describeWith } from '../support/requires.ts';
import { checkProgram } from '../support/run-program.ts';
import { temporaryDirectory, temporaryStore } from '../support/store-rig.ts';

describeWith(['root', 'skopeo', 'docker-registry', 'tar'], 'skopeo and docker-registry', () => {
  it.each([
    ['oci', 'gzip'],
    ['v2s2', 'gzip'],
    ['oci', 'zstd'],
  ])(
    'pull: what skopeo pushed as %s with %s is unpacked; push: what we push skopeo reads',
    async (format, compression) => {
      await using folder = await temporaryDirectory();
      await using server = await openDockerRegistry();
      await using store = await temporaryStore();
      await using sandbox = await openSandbox({ stateDir: store.state.sandboxDir });
      await using registry = openTestRegistry();
      const files = join(folder.path, 'files');
      await mkdir(join(files, 'etc'), { recursive: true });
      await writeFile(join(files, 'etc/motd'), 'hello from skopeo\n', { mode: 0o640 });
      const layerTar = join(folder.path, 'layer.tar');
      await checkProgram('tar', ['-C', files, '-cf', layerTar, '.']);
      await writeOciLayout(join(folder.path, 'layout'), {
        layerTars: [layerTar],
        name: 'app:v1',
        config: { Env: ['A=1'], Cmd: ['/x'] },
      });
      const compressed = ['--dest-compress-format', compression, '--dest-compress-level', '3'];
      await checkProgram('skopeo', [
        'copy',
        '--quiet',
        '--format',
        format,
        ...(format === 'oci' && compression === 'gzip' ? [] : compressed),
        '--dest-tls-verify=false',
        `oci:${join(folder.path, 'layout')}:v1`,
        `docker://${server.host}/a/app:v1`,
      ]);

      const images = openImageSource({
        content: store.content,
        index: store.cache,
        names: store.names,
        registry: () => registry,
        layers: sandbox.layers,
        snapshots: sandbox.snapshotter,
        slots: openSlots(2),
      });
      const image = await images.resolve(`${server.host}/a/app:v1`, {
        platform: hostPlatform(),
        strict: 'yes',
        pull: 'missing',
      });
      expect(image.manifest.mediaType).toBe(format === 'oci' ? MediaTypes.manifest : MediaTypes.dockerManifest);
      expect(image.config.config).toMatchObject({ Env: ['A=1'], Cmd: ['/x'] });
      const [layer] = await images.layers(image.manifest.digest, {});
      const info = await store.cache.lookupLayer(layer!);
      expect(info?.diffId).toBe(image.config.rootfs.diff_ids[0]);
      expect(info?.size).toBe((await readFile(layerTar)).length);
      expect((await store.names.list()).map(({ reference }) => reference)).toEqual([`${server.host}/a/app:v1`]);

      const copy = { registry: server.host, repository: 'b/copy', tag: 'v2' };
      const bytes = await store.content.readDocument(image.manifest);
      const config = await store.content.lookup(image.configDigest);
      for (const blob of [config!, ...image.layers]) {
        await registry.pushBlob(copy, blob, { open: () => store.content.read(blob) });
      }
      await registry.pushManifest(copy, image.manifest, bytes);
      const inspected = await checkProgram('skopeo', [
        'inspect',
        '--tls-verify=false',
        `docker://${server.host}/b/copy:v2`,
      ]);
      const { Digest: digest } = JSON.parse(inspected) as { Digest: string };
      expect(isDigest(digest) && digest).toBe(image.manifest.digest);
      await checkProgram('skopeo', [
        'copy',
        '--quiet',
        '--src-tls-verify=false',
        `docker://${server.host}/b/copy:v2`,
        `dir:${join(folder.path, 'copy')}`,
      ]);
    },
  );
});
