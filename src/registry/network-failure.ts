import { isBuildError, isErrno, messageOf } from '../core/error.ts';
import { TransportError } from './http-message.ts';

/** The request's own body could not be read: `cause` is what its source threw. */
export class BodyFailure extends Error {
  override readonly name = 'BodyFailure';

  constructor(cause: unknown) {
    super('the request body could not be read', { cause });
  }
}

/** A connection kept open for reuse was closed by the other side before the request reached anyone. */
export class StaleConnection extends Error {
  override readonly name = 'StaleConnection';

  constructor(cause: unknown) {
    super('the connection was closed between two requests', { cause });
  }
}

/** System errors after which another try may succeed. A refused connection and an unknown name are answers, and final. */
const TRANSIENT = ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ECONNABORTED', 'ENETRESET'];

/** Whether a failed request may succeed when it is sent again. */
export function isTransient(error: unknown): boolean {
  if (error instanceof TransportError || isBuildError(error, 'REGISTRY_UNREACHABLE')) return isTransient(error.cause);
  return isErrno(error, ...TRANSIENT);
}

/** The failure of a request to `url`, its reason in words for people; what a body's source threw comes out as it was. */
export function describeNetworkFailure(error: unknown, url: URL): unknown {
  if (error instanceof BodyFailure) return error.cause;
  const cause = systemCause(error);
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
  return new TransportError(reasonFor(code, url, messageOf(cause)), { cause });
}

function reasonFor(code: string | undefined, url: URL, message: string): string {
  switch (code) {
    case 'ENOTFOUND':
      return `no such host: ${url.hostname}`;
    case 'EAI_AGAIN':
      return `the name ${url.hostname} could not be looked up: no answer from DNS`;
    case 'ECONNREFUSED':
      return `connection refused by ${url.host}`;
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
      return `no route to ${url.host}`;
    case 'ETIMEDOUT':
      return `${url.host} did not answer: ${message}`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `${url.host} closed the connection`;
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return `${url.host} does not speak TLS (plain HTTP is used for loopback and configured hosts only)`;
    case undefined:
      return `${url.host}: ${message}`;
    default:
      return `${url.host}: ${message} (${code})`;
  }
}

function systemCause(error: unknown): unknown {
  if (error instanceof StaleConnection) return error.cause;
  // One error for each address of the host; the first is as good as any.
  return error instanceof AggregateError && error.errors.length > 0 ? (error.errors[0] as unknown) : error;
}
