import { setTimeout as delay } from 'node:timers/promises';
import { describeNetworkFailure, isTransient, StaleConnection } from './network-failure.ts';
import { type Connections, openConnections } from './connections.ts';
import { exchange } from './exchange.ts';
import { type HttpRequest, type HttpResponse, TransportError, type TransportLimits } from './http-message.ts';

/** Sends requests over connections that are kept open between them. */
export interface Transport extends Disposable {
  /**
   * The answer, whatever its status. Redirects are followed, never from https to http.
   * @throws TransportError where no answer came; the signal's reason.
   */
  send(request: HttpRequest): Promise<HttpResponse>;
  readonly limits: TransportLimits;
}

const DEFAULT_LIMITS: TransportLimits = {
  attempts: 5,
  backoffMs: 250,
  retryAfterMs: 20_000,
  connectTimeoutMs: 15_000,
  idleTimeoutMs: 120_000,
  redirects: 10,
};
/** Reading on is cheaper than a new connection up to about here. */
const DISCARD_LIMIT = 64 * 1024;
const TRANSIENT_STATUS: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
const REDIRECT_STATUS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** A transport for one build. Disposing it closes its connections. */
export function openTransport(o: {
  readonly userAgent: string;
  readonly limits?: Partial<TransportLimits>;
}): Transport {
  const limits = { ...DEFAULT_LIMITS, ...o.limits };
  const connections = openConnections();
  const context: Context = { userAgent: o.userAgent, limits, connections };
  return {
    limits,
    send: (request) => sendRepeatedly(request, context),
    [Symbol.dispose]: () => connections[Symbol.dispose](),
  };
}

/** Throws away what is left of an answer, so that its connection can serve again; a long rest costs the connection instead. */
export function discard({ body }: HttpResponse): void {
  let size = 0;
  body
    .on('error', () => {})
    .on('data', (chunk: Uint8Array) => {
      size += chunk.byteLength;
      if (size > DISCARD_LIMIT) body.destroy();
    });
}

/** All bytes of an answer. @returns `undefined` where there are more than `limit`. */
export async function readBody(response: HttpResponse, limit: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    // Leaving the loop destroys the connection, which is what an endless answer deserves.
    if (size > limit) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/** The pause before try `attempt` + 1, with some chance in it so that clients do not come back all at once. */
export function backoff(limits: TransportLimits, attempt: number): number {
  return limits.backoffMs * 2 ** (attempt - 1) * (0.75 + Math.random() / 2);
}

interface Context {
  readonly userAgent: string;
  readonly limits: TransportLimits;
  readonly connections: Connections;
}

async function sendRepeatedly(request: HttpRequest, context: Context): Promise<HttpResponse> {
  for (let attempt = 1; ; attempt++) {
    const last = request.repeat === 'unsafe' || attempt >= context.limits.attempts;
    const outcome = await attemptOnce(request, context);
    const pauseMs = last ? undefined : pauseAfter(outcome, attempt, context.limits);
    if (pauseMs === undefined) {
      if ('response' in outcome) return outcome.response;
      throw outcome.error;
    }
    if ('response' in outcome) discard(outcome.response);
    await delay(pauseMs, undefined, request.signal === undefined ? {} : { signal: request.signal }).catch(() =>
      request.signal?.throwIfAborted(),
    );
  }
}

type Outcome = { readonly response: HttpResponse } | { readonly error: unknown };

/** Milliseconds to wait before another try; `undefined` where another try would give the same. */
function pauseAfter(outcome: Outcome, attempt: number, limits: TransportLimits): number | undefined {
  if ('error' in outcome) {
    const transient = isTransient(outcome.error);
    return transient ? backoff(limits, attempt) : undefined;
  }
  if (!TRANSIENT_STATUS.has(outcome.response.status)) return undefined;
  const askedMs = parseRetryAfter(outcome.response.headers['retry-after']);
  if (askedMs === undefined) return backoff(limits, attempt);
  return askedMs > limits.retryAfterMs ? undefined : askedMs;
}

function parseRetryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const atMs = Date.parse(header);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - Date.now());
}

async function attemptOnce(request: HttpRequest, context: Context): Promise<Outcome> {
  try {
    return { response: await followRedirects(request, context) };
  } catch (error) {
    request.signal?.throwIfAborted();
    return { error };
  }
}

async function followRedirects(request: HttpRequest, context: Context): Promise<HttpResponse> {
  let current = request;
  for (let count = 0; ; count++) {
    const response = await exchangeFresh(current, context);
    const next = redirected(current, response);
    if (next === undefined) return response;
    discard(response);
    if (count >= context.limits.redirects) throw new TransportError(`more than ${count} redirects`);
    current = next;
  }
}

/** A connection kept open may have been closed by the other side just now: then a fresh one is tried at once. */
async function exchangeFresh(request: HttpRequest, context: Context): Promise<HttpResponse> {
  const { userAgent, limits, connections } = context;
  const headers = { 'user-agent': userAgent, 'accept-encoding': 'identity', ...request.headers };
  const authorization = request.authorization === undefined ? {} : { authorization: request.authorization };
  const send = (): Promise<HttpResponse> =>
    exchange({ ...request, headers: { ...headers, ...authorization } }, connections.agentFor(request.url), limits);
  try {
    return await send().catch((error: unknown) => {
      if (error instanceof StaleConnection && request.repeat === 'safe') return send();
      throw error;
    });
  } catch (error) {
    request.signal?.throwIfAborted();
    throw describeNetworkFailure(error, request.url);
  }
}

/** The request that a redirect asks for; `undefined` where `response` is no redirect that may be followed. */
function redirected(request: HttpRequest, response: HttpResponse): HttpRequest | undefined {
  const { location } = response.headers;
  if (!REDIRECT_STATUS.has(response.status) || location === undefined) return undefined;
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (!reads && response.status !== 307 && response.status !== 308) return undefined;
  const url = URL.parse(location, request.url.href);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new TransportError('redirect to an address that is no http or https URL');
  }
  if (url.protocol === 'http:' && request.url.protocol === 'https:') {
    throw new TransportError(`redirect from https to plain http at ${url.host}`);
  }
  // User names in a redirect are another server's words, not the user's.
  url.username = '';
  url.password = '';
  return { ...request, url, authorization: url.origin === request.url.origin ? request.authorization : undefined };
}
