import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { BuildError, isErrno, messageOf } from '../core/error.ts';

/** How this user's tsbuild reaches the world, from its configuration file and the environment. */
export interface ClientConfig {
  /** By registry; those of the environment come before those of the file. */
  readonly registryMirrors: ReadonlyMap<string, readonly string[]>;
  readonly insecureRegistries: readonly string[];
  /** Docker's `config.json`, there or not. */
  readonly dockerConfigPath: string;
  /** The store's directory, where the file or TSBUILD_STORE names one. */
  readonly store: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const CONFIG = v.strictObject({
  registryMirrors: v.optional(v.record(v.string(), v.union([v.array(v.string()), v.string()])), {}),
  insecureRegistries: v.optional(v.array(v.string()), []),
  store: v.optional(v.string()),
});

/**
 * Reads `$XDG_CONFIG_HOME/tsbuild/config.json`, which need not exist, and TSBUILD_REGISTRY_MIRRORS (`docker.io=127.0.0.1:5000,…`),
 * TSBUILD_INSECURE_REGISTRIES (`host:port,…`), TSBUILD_STORE and DOCKER_CONFIG.
 * @throws USAGE for a variable, DOCUMENT_INVALID for a file that is not understood
 */
export async function readClientConfig(env: Environment, home: string = homedir()): Promise<ClientConfig> {
  const file = await readConfigFile(join(env['XDG_CONFIG_HOME'] ?? join(home, '.config'), 'tsbuild/config.json'));
  const mirrors = new Map<string, readonly string[]>(parseMirrors(env['TSBUILD_REGISTRY_MIRRORS'] ?? ''));
  for (const [registry, named] of Object.entries(file.registryMirrors)) {
    mirrors.set(registry, [...(mirrors.get(registry) ?? []), ...(typeof named === 'string' ? [named] : named)]);
  }
  return {
    registryMirrors: mirrors,
    insecureRegistries: [...splitList(env['TSBUILD_INSECURE_REGISTRIES'] ?? ''), ...file.insecureRegistries],
    dockerConfigPath: join(env['DOCKER_CONFIG'] ?? join(home, '.docker'), 'config.json'),
    store: env['TSBUILD_STORE'] ?? file.store,
  };
}

/** `REGISTRY=MIRROR,…`: several mirrors of one registry keep their order. @throws USAGE */
export function parseMirrors(text: string): ReadonlyMap<string, readonly string[]> {
  const mirrors = new Map<string, readonly string[]>();
  for (const item of splitList(text)) {
    const at = item.indexOf('=');
    const [registry, mirror] = [item.slice(0, Math.max(0, at)).trim(), item.slice(at + 1).trim()];
    if (registry === '' || mirror === '') {
      const problem = `invalid registry mirror ${JSON.stringify(item)}`;
      throw new BuildError('USAGE', {
        problem,
        suggestion: 'write REGISTRY=HOST[:PORT], as in docker.io=127.0.0.1:5000',
      });
    }
    mirrors.set(registry, [...(mirrors.get(registry) ?? []), mirror]);
  }
  return mirrors;
}

function splitList(text: string): readonly string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

async function readConfigFile(path: string): Promise<v.InferOutput<typeof CONFIG>> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return '{}';
    throw new BuildError('DOCUMENT_INVALID', { what: path, reason: messageOf(error) }, { cause: error });
  });
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), CONFIG), text);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const place = v.getDotPath(issue);
  const reason = `${place === null ? '' : `${place}: `}${issue.message.replace(/^./, (first) => first.toLowerCase())}`;
  throw new BuildError('DOCUMENT_INVALID', { what: path, reason });
}
