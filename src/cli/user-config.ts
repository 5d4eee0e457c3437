import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { StoreOptions } from '../build-request.ts';
import { BuildError, isErrno, messageOf } from '../core/error.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What `$XDG_CONFIG_HOME/tsbuild/config.json` says, empty if there is none:
 * `{ "store": DIR, "registryMirrors": { "docker.io": [HOST] }, "insecureRegistries": [HOST], "snapshotter": …, "runtime": …,
 * "syncSteps": "suppress", "maxUsedSpace": "20g" }`.
 * @throws DOCUMENT_INVALID
 */
export async function readUserConfig(env: Environment): Promise<Partial<StoreOptions>> {
  const base = env['XDG_CONFIG_HOME'];
  const directory = base !== undefined && isAbsolute(base) ? base : join(env['HOME'] ?? '/', '.config');
  const path = join(directory, 'tsbuild/config.json');
  const text = await readOptional(path);
  if (text === undefined) return {};
  try {
    const { decodeUserConfig } = await import('./decode-user-config.ts');
    return decodeUserConfig(JSON.parse(text));
  } catch (error) {
    throw new BuildError('DOCUMENT_INVALID', { what: path, reason: messageOf(error) }, { cause: error });
  }
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return undefined;
    throw error;
  }
}
