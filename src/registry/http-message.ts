import type { IncomingMessage } from 'node:http';

/** A request body: `open` gives the same `size` bytes each time it is called. */
export interface RequestBody {
  readonly size: number;
  readonly open: () => AsyncIterable<Uint8Array>;
}

/** One HTTP request. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** The Authorization header. A redirect to another origin loses it. */
  readonly authorization?: string | undefined;
  readonly body?: RequestBody;
  /** Whether sending it twice does no harm: then network failures, 408, 429 and 5xx are tried again with growing pauses. */
  readonly repeat: 'safe' | 'unsafe';
  readonly signal?: AbortSignal | undefined;
}

/** An answer of any status; `body` has to be read to its end, discarded or destroyed. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Where the answer came from after all redirects. */
  readonly url: URL;
  readonly body: IncomingMessage;
}

/** How long and how often a transport tries. */
export interface TransportLimits {
  /** All tries of one request together. */
  readonly attempts: number;
  /** The pause before the second try; it doubles with each further one. */
  readonly backoffMs: number;
  /** A longer Retry-After than this is not waited for. */
  readonly retryAfterMs: number;
  readonly connectTimeoutMs: number;
  /** How long nothing may come or go on a connection in use. */
  readonly idleTimeoutMs: number;
  readonly redirects: number;
}

/** No answer came. `message` says why in words for people; `cause` is what the system said. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
}

/** A request body of bytes in memory. */
export function bodyOf(bytes: Uint8Array): RequestBody {
  return {
    size: bytes.byteLength,
    async *open() {
      if (bytes.byteLength > 0) yield bytes;
    },
  };
}
