import { resolve } from 'node:path';
import { BuildError, isBuildError, isErrno, messageOf } from '../core/error.ts';
import type { Secrets } from '../core/source.ts';
import { readSecretFile } from './secret-file.ts';
import { openAgents, type SshRequest } from './ssh.ts';

/** A secret as the user names it. `auto`: the variable named `id` where the environment has one, else the file `id`. */
export interface SecretRequest {
  readonly id: string;
  readonly from:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'env'; readonly name: string }
    | { readonly kind: 'value'; readonly value: Uint8Array }
    | { readonly kind: 'auto' };
}

/** Everything secret that a build is handed. */
export interface SecretsOptions {
  readonly secrets: readonly SecretRequest[];
  readonly ssh: readonly SshRequest[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What relative paths start from. */
  readonly cwd: string;
  /** For sockets of agents; swept after a process that is killed. */
  readonly tmp: string;
}

/** The most that one secret may have (BuildKit's `secrets.MaxSecretSize`). */
export const MAX_SECRET_SIZE = 500 * 1024;

/**
 * The build's secrets and agents. A value is read when it is first wanted, once, and kept in memory only. Disposing closes the agents.
 * @throws SECRET_NOT_FOUND for a variable or file that is not there, DOCUMENT_INVALID for one too large; both by `lookup`
 */
export function openSecrets(o: SecretsOptions): Secrets & AsyncDisposable {
  const requests = new Map(o.secrets.map((request) => [request.id, request]));
  const read = new Map<string, Promise<Uint8Array>>();
  const values: Uint8Array[] = [];
  const agents = openAgents(o);
  return {
    lookup: async (id) => {
      const request = requests.get(id);
      if (request === undefined) return undefined;
      const value = read.get(id) ?? readSecret(request, o).then(remember(values));
      read.set(id, value);
      return value;
    },
    values: () => values,
    lookupAgent: (id) => agents.lookup(id),
    [Symbol.asyncDispose]: () => agents[Symbol.asyncDispose](),
  };
}

function remember(values: Uint8Array[]): (value: Uint8Array) => Uint8Array {
  return (value) => {
    if (value.byteLength > 0) values.push(value);
    return value;
  };
}

async function readSecret({ id, from }: SecretRequest, o: SecretsOptions): Promise<Uint8Array> {
  const value = await readValue(id, from, o);
  if (value.byteLength <= MAX_SECRET_SIZE) return value;
  throw tooLarge(id);
}

async function readValue(id: string, from: SecretRequest['from'], o: SecretsOptions): Promise<Uint8Array> {
  switch (from.kind) {
    case 'value':
      return from.value;
    case 'env':
      return readVariable(id, from.name, o);
    case 'file':
      return readFile(id, from.path, o);
    case 'auto':
      return o.env[id] === undefined ? readFile(id, id, o) : readVariable(id, id, o);
  }
}

function readVariable(id: string, name: string, o: SecretsOptions): Uint8Array {
  const value = o.env[name];
  if (value === undefined) throw notFound(id, `the environment has no ${name}`);
  return Buffer.from(value);
}

async function readFile(id: string, path: string, o: SecretsOptions): Promise<Uint8Array> {
  try {
    const value = await readSecretFile(resolve(o.cwd, path), MAX_SECRET_SIZE);
    if (value === undefined) throw tooLarge(id);
    return value;
  } catch (error) {
    if (isBuildError(error)) throw error;
    const reason = isErrno(error, 'ENOENT', 'ENOTDIR') ? `there is no file ${path}` : messageOf(error);
    throw notFound(id, reason, error);
  }
}

function notFound(id: string, hint: string, cause?: unknown): BuildError {
  return new BuildError('SECRET_NOT_FOUND', { id }, { hint, cause });
}

function tooLarge(id: string): BuildError {
  const reason = `it is larger than ${MAX_SECRET_SIZE} bytes`;
  return new BuildError('DOCUMENT_INVALID', { what: `secret ${JSON.stringify(id)}`, reason });
}
