import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { BuildError, isErrno, messageOf } from '../core/error.ts';

/** What docker's `config.json` says about credentials; servers by normalised name (see `serverName`). */
export interface DockerConfig {
  readonly auths: ReadonlyMap<string, AuthEntry>;
  /** Programs `docker-credential-NAME` that know a server's credentials. */
  readonly helpers: ReadonlyMap<string, string>;
  /** The program for all other servers. */
  readonly store: string | undefined;
}

/** One server's credentials as they stand in the file. */
export interface AuthEntry {
  readonly username: string;
  readonly password: string;
  /** A refresh token, instead of a password. */
  readonly identityToken: string | undefined;
}

const HELPER_NAME = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'is no name of a credential helper'));
const ENTRY = v.object({
  auth: v.optional(v.string()),
  username: v.optional(v.string()),
  password: v.optional(v.string()),
  identitytoken: v.optional(v.string()),
});
const CONFIG = v.object({
  auths: v.optional(v.record(v.string(), ENTRY), {}),
  credHelpers: v.optional(v.record(v.string(), HELPER_NAME), {}),
  credsStore: v.optional(v.union([v.literal(''), HELPER_NAME])),
});

/** The file's credentials; none where there is no file. @throws DOCUMENT_INVALID, which never quotes the file. */
export async function readDockerConfig(path: string): Promise<DockerConfig> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return '{}';
    throw new BuildError('DOCUMENT_INVALID', { what: path, reason: messageOf(error) }, { cause: error });
  });
  const parsed = v.safeParse(CONFIG, parseJson(text, path));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const reason = `${v.getDotPath(issue) ?? 'the file'}: expected ${issue.expected ?? 'something else'}`;
    throw new BuildError('DOCUMENT_INVALID', { what: path, reason });
  }
  const { auths, credHelpers, credsStore } = parsed.output;
  return {
    auths: new Map(Object.entries(auths).map(([server, entry]) => [serverName(server), toAuth(entry)])),
    helpers: new Map(Object.entries(credHelpers).map(([server, helper]) => [serverName(server), helper])),
    store: credsStore === '' ? undefined : credsStore,
  };
}

/** How a server is called in docker's config, scheme and path left out: Docker Hub's key `https://index.docker.io/v1/` becomes `docker.io`. */
export function serverName(key: string): string {
  const host = key.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // V8's message quotes the text, which may hold a password.
    throw new BuildError('DOCUMENT_INVALID', { what: path, reason: 'it is no JSON' });
  }
}

function toAuth(entry: v.InferOutput<typeof ENTRY>): AuthEntry {
  const decoded = Buffer.from(entry.auth ?? '', 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  return {
    username: entry.username ?? (colon === -1 ? '' : decoded.slice(0, colon)),
    password: entry.password ?? (colon === -1 ? '' : decoded.slice(colon + 1).replace(/\0+$/, '')),
    identityToken: entry.identitytoken === '' ? undefined : entry.identitytoken,
  };
}
