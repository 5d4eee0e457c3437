import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseMirrors, readClientConfig } from '../../src/source/client-config.ts';
import { temporaryDirectory } from '../support/store-rig.ts';

describe('client config', () => {
  it('nothing is configured by default', async () => {
    await using home = await temporaryDirectory();
    expect(await readClientConfig({}, home.path)).toEqual({
      registryMirrors: new Map(),
      insecureRegistries: [],
      dockerConfigPath: join(home.path, '.docker/config.json'),
      store: undefined,
    });
  });
  it('the environment comes before the file', async () => {
    await using home = await temporaryDirectory();
    await mkdir(join(home.path, 'xdg/tsbuild'), { recursive: true });
    const file = {
      registryMirrors: { 'docker.io': ['file.example'], 'quay.io': 'q.example' },
      insecureRegistries: ['b'],
      store: '/f',
    };
    await writeFile(join(home.path, 'xdg/tsbuild/config.json'), JSON.stringify(file));
    const env = {
      XDG_CONFIG_HOME: join(home.path, 'xdg'),
      TSBUILD_REGISTRY_MIRRORS: 'docker.io=127.0.0.1:5000, docker.io=127.0.0.1:5001',
      TSBUILD_INSECURE_REGISTRIES: 'a,',
      TSBUILD_STORE: '/e',
      DOCKER_CONFIG: '/d',
    };
    expect(await readClientConfig(env, home.path)).toEqual({
      registryMirrors: new Map([
        ['docker.io', ['127.0.0.1:5000', '127.0.0.1:5001', 'file.example']],
        ['quay.io', ['q.example']],
      ]),
      insecureRegistries: ['a', 'b'],
      dockerConfigPath: '/d/config.json',
      store: '/e',
    });
  });
  it.each([
    ['{', /is not valid/],
    ['{"registryMirrors":"x"}', /registryMirrors/],
    ['{"registryMirors":{}}', /registryMirors/],
    ['{"unknown":1}', /unknown/],
    ['{"insecureRegistries":[1]}', /insecureRegistries\.0/],
  ])('the file %j is refused', async (text, message) => {
    await using home = await temporaryDirectory();
    await mkdir(join(home.path, '.config/tsbuild'), { recursive: true });
    await writeFile(join(home.path, '.config/tsbuild/config.json'), text);
    await expect(readClientConfig({}, home.path)).rejects.toThrow(message);
  });
  it.each(['docker.io', 'docker.io=', '=x', 'a=b,c'])('mirrors %j are refused', (text) => {
    expect(() => parseMirrors(text)).toThrow(/invalid registry mirror/);
  });
});
