import { BuildError } from '../core/error.ts';
import type { Reference } from '../oci/reference.ts';
import type { Authorizer } from './auth.ts';
import type { Endpoint } from './endpoint.ts';
import { type HttpRequest, type HttpResponse, type RequestBody, TransportError } from './http-message.ts';
import { nameOf } from './refusal.ts';
import { discard, type Transport } from './transport.ts';

/** One call of the distribution API. */
export interface Call {
  readonly method: HttpRequest['method'];
  /** Path below the endpoint, or the URL that an earlier answer gave. */
  readonly target: string | URL;
  /** What a token has to allow, the main repository first. */
  readonly scopes: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  readonly repeat?: HttpRequest['repeat'];
  readonly signal?: AbortSignal | undefined;
}

/** Calls endpoints with the proof of identity that they ask for. */
export interface Session {
  /** The answer, whatever its status. @throws REGISTRY_UNREACHABLE; REGISTRY_REFUSED where no token can be had */
  call(endpoint: Endpoint, call: Call): Promise<HttpResponse>;
  readonly transport: Transport;
}

/** A session of `transport`. */
export function openSession(transport: Transport, authorizer: Authorizer): Session {
  const send = async (endpoint: Endpoint, call: Call): Promise<HttpResponse> => {
    const url = new URL(call.target, endpoint.origin);
    const ours = url.origin === endpoint.origin;
    const authorization = ours ? await authorizer.header(endpoint, call.scopes, call.signal) : undefined;
    const { method, headers = {}, body, repeat = 'safe', signal } = call;
    const request = { method, url, headers, authorization, repeat, signal };
    return transport.send(body === undefined ? request : { ...request, body });
  };
  const call = async (endpoint: Endpoint, request: Call): Promise<HttpResponse> => {
    const response = await send(endpoint, request);
    // Only the endpoint's own word counts: another host must not choose where credentials go.
    if (response.status !== 401 || response.url.origin !== endpoint.origin) return response;
    const challenge = response.headers['www-authenticate'];
    if ((await authorizer.learn(endpoint, { scopes: request.scopes, challenge })) === 'give up') return response;
    discard(response);
    return send(endpoint, request);
  };
  return {
    transport,
    call: (endpoint, request) =>
      call(endpoint, request).catch((error: unknown) => {
        if (!(error instanceof TransportError)) throw error;
        throw unreachable(endpoint, error);
      }),
  };
}

/** The scope of a token that may read, or read and write, a repository. */
export function scopeOf(endpoint: Endpoint, repository: string, actions: 'pull' | 'pull,push'): string {
  return `repository:${endpoint.prefix}${repository}:${actions}`;
}

/** A path of the distribution API: `/v2/<name>/<rest>`. */
export function pathOf(endpoint: Endpoint, reference: Reference, rest: string): string {
  return `/v2/${endpoint.prefix}${reference.repository}/${rest}`;
}

function unreachable(endpoint: Endpoint, error: TransportError): BuildError {
  return new BuildError(
    'REGISTRY_UNREACHABLE',
    { registry: nameOf(endpoint), reason: error.message },
    { cause: error },
  );
}
