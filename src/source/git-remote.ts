import type { GitSource, Secrets } from '../core/source.ts';
import { failure, type GitSettings } from './git-command.ts';
import { redactUrl } from './redact.ts';

/** What to check out. */
export type GitRequest = Parameters<GitSource['fetch']>[0];

/** A remote that may be asked. */
export interface GitRemote {
  /** The address for git: without credentials, which travel in `settings`. */
  readonly url: string;
  readonly settings: GitSettings;
}

const PROTOCOLS = ['https', 'http', 'ssh', 'git'];

/** Checks the address and finds its credentials. @throws GIT_FAILED for an address that git would not take for a remote */
export async function openGitRemote(
  ports: { readonly secrets: Pick<Secrets, 'lookup' | 'lookupAgent'>; readonly fileProtocol?: 'refuse' | 'allow' },
  request: { readonly remote: string; readonly signal?: AbortSignal | undefined },
): Promise<GitRemote> {
  const protocols = ports.fileProtocol === 'allow' ? [...PROTOCOLS, 'file'] : PROTOCOLS;
  const url = URL.parse(request.remote);
  const base: GitSettings = { remote: redactUrl(request.remote), protocols, secrets: [], signal: request.signal };
  const isUrl = url !== null && protocols.includes(url.protocol.replace(/:$/, '')) && request.remote.includes('://');
  const isScp = /^[\w][\w.-]*@[\w.-]+:[^\s-][^\s]*$/.test(request.remote);
  if (!isUrl && !isScp) throw failure(base, `it is no address of ${protocols.join(', ')}`);
  if (!isUrl || url.protocol === 'ssh:') {
    const agentSocket = await ports.secrets.lookupAgent('default');
    return { url: request.remote, settings: { ...base, agentSocket } };
  }
  if (!/^https?:$/.test(url.protocol)) return { url: request.remote, settings: base };
  return openHttpRemote(ports, url, base);
}

/** Logins are taken out of the address, so that neither a command line nor a kept .git/config holds them. */
async function openHttpRemote(
  { secrets }: { readonly secrets: Pick<Secrets, 'lookup'> },
  url: URL,
  base: GitSettings,
): Promise<GitRemote> {
  const login = { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  url.username = '';
  url.password = '';
  const header = login.username === '' && login.password === '' ? await headerFrom(secrets, url.host) : basic(login);
  if (header === undefined) return { url: url.href, settings: base };
  const hidden = [header, header.replace(/^\w+ /, ''), login.password];
  return { url: url.href, settings: { ...base, authorization: { origin: url.origin, header }, secrets: hidden } };
}

async function headerFrom(secrets: Pick<Secrets, 'lookup'>, host: string): Promise<string | undefined> {
  const lookup = async (id: string): Promise<string | undefined> => {
    const value = (await secrets.lookup(`${id}.${host}`)) ?? (await secrets.lookup(id));
    return value === undefined ? undefined : Buffer.from(value).toString('utf8').trim();
  };
  const header = await lookup('GIT_AUTH_HEADER');
  if (header !== undefined) return header;
  const token = await lookup('GIT_AUTH_TOKEN');
  return token === undefined ? undefined : basic({ username: 'x-access-token', password: token });
}

function basic({ username, password }: { readonly username: string; readonly password: string }): string {
  return `basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
