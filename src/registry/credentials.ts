import { spawn } from 'node:child_process';
import * as v from 'valibot';
import { BuildError, isErrno, messageOf } from '../core/error.ts';
import { type AuthEntry, type DockerConfig, readDockerConfig, serverName } from './docker-config.ts';

/** What a user proves who they are with. */
export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** A refresh token for the registry's token server. */
  | { readonly kind: 'identity'; readonly token: string };

/** The credentials of registries, as docker's configuration has them. */
export interface CredentialStore {
  /** `undefined` means anonymous. @throws DOCUMENT_INVALID, REGISTRY_REFUSED where a credential helper fails */
  lookup(registry: string): Promise<Credentials | undefined>;
}

/** The key that docker uses for Docker Hub, with files and helpers alike. */
const HUB_KEY = 'https://index.docker.io/v1/';
const HELPER_TIMEOUT_MS = 60_000;
const HELPER_ANSWER = v.object({ Username: v.optional(v.string(), ''), Secret: v.optional(v.string(), '') });

/** Reads `configPath` (docker's `config.json`) when a registry first asks for credentials; each registry is looked up once. */
export function openCredentialStore(configPath: string | undefined): CredentialStore {
  let config: Promise<DockerConfig> | undefined;
  const known = new Map<string, Promise<Credentials | undefined>>();
  const lookup = async (registry: string): Promise<Credentials | undefined> => {
    if (configPath === undefined) return undefined;
    config ??= readDockerConfig(configPath);
    return lookupIn(await config, serverName(registry));
  };
  return {
    lookup: (registry) => {
      const found = known.get(registry) ?? lookup(registry);
      known.set(registry, found);
      return found;
    },
  };
}

/** A helper for the server comes first, then the general one, then the file itself. */
async function lookupIn(config: DockerConfig, server: string): Promise<Credentials | undefined> {
  const helper = config.helpers.get(server) ?? config.store;
  const fromHelper = helper === undefined ? undefined : await askHelper(helper, server);
  if (fromHelper !== undefined) return fromHelper;
  const entry = config.auths.get(server);
  return entry === undefined ? undefined : toCredentials(entry);
}

function toCredentials(entry: AuthEntry): Credentials | undefined {
  if (entry.identityToken !== undefined) return { kind: 'identity', token: entry.identityToken };
  if (entry.username === '') return undefined;
  return { kind: 'password', username: entry.username, password: entry.password };
}

/** Docker's credential helper protocol: the server's name on standard input, JSON on standard output. */
async function askHelper(helper: string, server: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${helper}`;
  const refuse = (reason: string, cause?: unknown): BuildError =>
    new BuildError('REGISTRY_REFUSED', { registry: server, status: 401, reason: `${program} ${reason}` }, { cause });
  const { exitCode, output } = await runHelper(program, server === 'docker.io' ? HUB_KEY : server).catch(
    (error: unknown) => {
      throw refuse(isErrno(error, 'ENOENT') ? 'is not installed' : `failed: ${messageOf(error)}`, error);
    },
  );
  if (exitCode !== 0) {
    // The protocol has no code for absence, only this text (docker-credential-helpers, credentials/error.go).
    if (/credentials not found/i.test(output)) return undefined;
    throw refuse(`failed with exit code ${exitCode ?? 'unknown'}`);
  }
  const answer = v.safeParse(v.pipe(v.string(), v.parseJson(), HELPER_ANSWER), output);
  if (!answer.success) throw refuse('gave an answer that is not understood');
  const { Username: username, Secret: secret } = answer.output;
  if (secret === '') return undefined;
  return username === '<token>'
    ? { kind: 'identity', token: secret }
    : { kind: 'password', username, password: secret };
}

async function runHelper(program: string, input: string): Promise<{ exitCode: number | null; output: string }> {
  const child = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'], timeout: HELPER_TIMEOUT_MS });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject).once('close', resolve);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  // A helper that ends without reading its input is judged by its exit code.
  child.stdin.on('error', () => {}).end(`${input}\n`);
  const exitCode = await promise;
  return { exitCode, output: Buffer.concat(chunks).toString('utf8') };
}
