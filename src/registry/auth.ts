import * as v from 'valibot';
import { BuildError } from '../core/error.ts';
import { type Challenge, parseChallenge } from './challenge.ts';
import type { Credentials, CredentialStore } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';
import { bodyOf, type HttpRequest } from './http-message.ts';
import { discard, readBody, type Transport } from './transport.ts';

/** Proves to registries who asks: Basic, or Bearer tokens from the server that a registry names; anonymous without credentials. */
export interface Authorizer {
  /** The Authorization header for a request that needs `scopes`, as far as the endpoint's way is known; `undefined` before its first challenge. */
  header(endpoint: Endpoint, scopes: readonly string[], signal?: AbortSignal): Promise<string | undefined>;
  /** Learns from a 401. @returns whether another try with a new `header` may do better. */
  learn(
    endpoint: Endpoint,
    refusal: { readonly scopes: readonly string[]; readonly challenge: string | undefined },
  ): Promise<'retry' | 'give up'>;
}

type BearerChallenge = Extract<Challenge, { scheme: 'bearer' }>;

/** What is known of one endpoint. */
interface EndpointAuth {
  challenge: Challenge;
  readonly tokens: Map<string, Promise<Token>>;
}

interface Token {
  readonly text: string;
  readonly expiresMs: number;
}

const TOKEN_LIMIT = 1024 * 1024;
/** The distribution token specification's value for an answer that does not say. */
const DEFAULT_LIFETIME_SECONDS = 60;
/** A token that ends so soon is renewed before use. */
const MARGIN_MS = 5000;
const PRINTABLE = v.pipe(v.string(), v.regex(/^[\x21-\x7e]+$/));
const TOKEN_ANSWER = v.object({
  token: v.optional(PRINTABLE),
  access_token: v.optional(PRINTABLE),
  expires_in: v.optional(v.pipe(v.number(), v.minValue(0))),
});

/** An authorizer that asks token servers over `transport`. */
export function openAuthorizer(transport: Transport, credentials: CredentialStore): Authorizer {
  const endpoints = new Map<string, EndpointAuth>();

  async function header(
    endpoint: Endpoint,
    scopes: readonly string[],
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    const auth = endpoints.get(endpoint.origin);
    if (auth === undefined) return undefined;
    const found = await credentials.lookup(endpoint.account);
    if (auth.challenge.scheme === 'basic') return found?.kind === 'password' ? formatBasic(found) : undefined;
    const key = scopes.join(' ');
    const asked = auth.tokens.get(key);
    const known = asked === undefined ? undefined : await asked;
    if (known !== undefined && known.expiresMs > Date.now() + MARGIN_MS) return `Bearer ${known.text}`;
    const fetched = fetchToken(transport, { endpoint, challenge: auth.challenge, scopes, credentials: found, signal });
    auth.tokens.set(key, fetched);
    fetched.catch(() => auth.tokens.delete(key));
    return `Bearer ${(await fetched).text}`;
  }

  async function learn(
    endpoint: Endpoint,
    { scopes, challenge: text }: { readonly scopes: readonly string[]; readonly challenge: string | undefined },
  ): Promise<'retry' | 'give up'> {
    const challenge = parseChallenge(text);
    if (challenge === undefined) return 'give up';
    const auth = endpoints.get(endpoint.origin);
    if (challenge.scheme === 'basic') {
      if (auth?.challenge.scheme !== 'basic') endpoints.set(endpoint.origin, { challenge, tokens: new Map() });
      return (await credentials.lookup(endpoint.account))?.kind === 'password' ? 'retry' : 'give up';
    }
    if (auth === undefined) endpoints.set(endpoint.origin, { challenge, tokens: new Map() });
    else {
      auth.challenge = challenge;
      auth.tokens.delete(scopes.join(' '));
    }
    return 'retry';
  }

  return { header, learn };
}

function formatBasic({ username, password }: Extract<Credentials, { kind: 'password' }>): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

interface TokenRequest {
  readonly endpoint: Endpoint;
  readonly challenge: BearerChallenge;
  readonly scopes: readonly string[];
  readonly credentials: Credentials | undefined;
  readonly signal: AbortSignal | undefined;
}

async function fetchToken(transport: Transport, o: TokenRequest): Promise<Token> {
  const response = await transport.send({ ...tokenRequest(o, realmOf(o)), signal: o.signal });
  if (response.status !== 200) {
    discard(response);
    throw refused(
      o,
      response.status,
      `no token from ${response.url.host}${o.credentials === undefined ? '' : ': login refused'}`,
    );
  }
  const body = await readBody(response, TOKEN_LIMIT);
  const answer = v.safeParse(v.pipe(v.string(), v.parseJson(), TOKEN_ANSWER), body?.toString('utf8') ?? '');
  const text = answer.success ? (answer.output.token ?? answer.output.access_token) : undefined;
  if (!answer.success || text === undefined) throw refused(o, 200, `${response.url.host} gave no usable token`);
  const lifetimeSeconds = answer.output.expires_in ?? DEFAULT_LIFETIME_SECONDS;
  return { text, expiresMs: Date.now() + lifetimeSeconds * 1000 };
}

/** The token server's address; credentials go over plain HTTP only where the registry itself is spoken to so. */
function realmOf(o: TokenRequest): URL {
  const url = URL.parse(o.challenge.realm);
  const plain = o.endpoint.origin.startsWith('http:');
  if (url === null || !(url.protocol === 'https:' || (url.protocol === 'http:' && plain))) {
    throw refused(o, 401, 'it names a token server that is no https URL');
  }
  return url;
}

/** GET with Basic, or, with a refresh token, OAuth2's POST (distribution, spec/auth/token.md and oauth.md). */
function tokenRequest(o: TokenRequest, realm: URL): HttpRequest {
  const { service } = o.challenge;
  const scopes = [...new Set([...o.scopes, ...o.challenge.scopes])];
  if (o.credentials?.kind === 'identity') {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: o.credentials.token,
      client_id: 'tsbuild',
      ...(service !== undefined && { service }),
      ...(scopes.length > 0 && { scope: scopes.join(' ') }),
    });
    const bytes = Buffer.from(form.toString());
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return { method: 'POST', url: realm, headers, body: bodyOf(bytes), repeat: 'safe' };
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (o.credentials === undefined) return { method: 'GET', url, repeat: 'safe' };
  url.searchParams.set('account', o.credentials.username);
  return { method: 'GET', url, authorization: formatBasic(o.credentials), repeat: 'safe' };
}

function refused(o: TokenRequest, status: number, reason: string): BuildError {
  return new BuildError(
    'REGISTRY_REFUSED',
    { registry: o.endpoint.registry, status, reason },
    { hint: loginHint(o.endpoint) },
  );
}

/** How to give credentials for `endpoint`, for messages. */
export function loginHint(endpoint: Endpoint): string {
  const server = endpoint.account === 'docker.io' ? '' : ` ${endpoint.account}`;
  return `log in with: docker login${server}`;
}
