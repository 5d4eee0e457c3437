import { isAbsolute, join } from 'node:path';
import type { SecretInput, SshInput } from '../build-request.ts';
import { parseFields } from './parse-fields.ts';
import { didYouMeanOneOf } from '../core/nearest-name.ts';
import { usageError } from './usage-error.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const KEYS = ['id', 'src', 'source', 'env', 'type'];

/** `id=ID[,src=FILE|env=NAME][,type=file|env]`; with an id alone: the environment variable of that name, else the file. */
export function parseSecret(text: string, env: Environment): SecretInput {
  const fields = new Map<string, string>();
  for (const { key, value } of parseFields('--secret', text)) {
    if (!KEYS.includes(key))
      throw usageError(`--secret: unknown key ${JSON.stringify(key)}`, didYouMeanOneOf(key, KEYS));
    if (value === undefined || value === '') throw usageError(`--secret: ${key} has no value`, `write ${key}=VALUE`);
    fields.set(key === 'source' ? 'src' : key, value);
  }
  const [id, src, name, type] = ['id', 'src', 'env', 'type'].map((key) => fields.get(key));
  if (id === undefined)
    throw usageError(`--secret: no id in ${JSON.stringify(text)}`, 'write id=ID,src=FILE or id=ID,env=NAME');
  if (type !== undefined && type !== 'file' && type !== 'env') {
    throw usageError(`--secret: unknown type ${JSON.stringify(type)}`, didYouMeanOneOf(type, ['file', 'env']));
  }
  if (type !== 'file' && name !== undefined) return { id, from: { kind: 'env', name } };
  if (type === 'env') return { id, from: { kind: 'env', name: src ?? id } };
  if (type === undefined && src === undefined && env[id] !== undefined) return { id, from: { kind: 'env', name: id } };
  return { id, from: { kind: 'file', path: expandHome(src ?? id, env) } };
}

/** `default`, or `ID=SOCKET` or `ID=KEY[,KEY…]`; without a path the agent of SSH_AUTH_SOCK. */
export function parseSsh(text: string, env: Environment): SshInput {
  const [id = '', ...rest] = text.split('=');
  if (id === '') throw usageError(`--ssh: no id in ${JSON.stringify(text)}`, 'write default, or ID=SOCKET');
  const listed = rest
    .join('=')
    .split(',')
    .filter((path) => path !== '');
  if (listed.length > 0) return { id, paths: listed.map((path) => expandHome(path, env)) };
  const agent = env['SSH_AUTH_SOCK'];
  if (agent === undefined || agent === '') {
    throw usageError(
      `--ssh ${text}: no agent is running here: SSH_AUTH_SOCK is not set`,
      `start one, or name a key: --ssh ${id}=FILE`,
    );
  }
  return { id, paths: [agent] };
}

/** A shell does not expand `~` behind a `=`. */
function expandHome(path: string, env: Environment): string {
  const home = env['HOME'];
  return path.startsWith('~/') && home !== undefined && isAbsolute(home) ? join(home, path.slice(2)) : path;
}
