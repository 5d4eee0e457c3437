import { setTimeout as delay } from 'node:timers/promises';
import type { BlobInfo } from '../core/content.ts';
import { BuildError, messageOf } from '../core/error.ts';
import { formatRepository, type Reference } from '../oci/reference.ts';
import type { Endpoint } from './endpoint.ts';
import type { HttpResponse } from './http-message.ts';
import { nameOf, refusal } from './refusal.ts';
import { pathOf, scopeOf, type Session } from './session.ts';
import { backoff, discard } from './transport.ts';

/** A blob and how far it has come; `progress.offset` outlives a failure, so that another endpoint can go on from there. */
export interface Download {
  readonly reference: Reference;
  readonly blob: BlobInfo;
  readonly progress: { offset: number };
  readonly signal: AbortSignal | undefined;
}

/** Interruptions of one download in all, however much came between them. */
const MAX_INTERRUPTIONS = 100;

/**
 * The blob's bytes from `progress.offset` to its end; after an interruption the rest is asked for with a range.
 * Never more than the blob's size; fewer only with an error.
 * @returns whether the endpoint has the blob at all.
 */
export async function* downloadBlob(
  session: Session,
  endpoint: Endpoint,
  o: Download,
): AsyncGenerator<Uint8Array, 'whole' | 'absent'> {
  const { limits } = session.transport;
  for (let interruptions = 0, fruitless = 0; ; interruptions++) {
    const before = o.progress.offset;
    const response = await request(session, endpoint, o);
    if (response === undefined) return 'absent';
    const failure = yield* copyBody(response, endpoint, o);
    if (failure === undefined) return 'whole';
    fruitless = o.progress.offset > before ? 1 : fruitless + 1;
    if (fruitless >= limits.attempts || interruptions >= MAX_INTERRUPTIONS) throw failure;
    await delay(backoff(limits, fruitless), undefined, o.signal === undefined ? {} : { signal: o.signal }).catch(() =>
      o.signal?.throwIfAborted(),
    );
  }
}

async function request(session: Session, endpoint: Endpoint, o: Download): Promise<HttpResponse | undefined> {
  const { reference, blob, progress, signal } = o;
  const response = await session.call(endpoint, {
    method: 'GET',
    target: pathOf(endpoint, reference, `blobs/${blob.digest}`),
    scopes: [scopeOf(endpoint, reference.repository, 'pull')],
    ...(progress.offset > 0 && { headers: { range: `bytes=${progress.offset}-` } }),
    signal,
  });
  if (response.status === 404) {
    discard(response);
    return undefined;
  }
  if (response.status !== 200 && response.status !== 206) {
    throw await refusal(endpoint, response, `blob ${blob.digest} of ${formatRepository(reference)}`);
  }
  return response;
}

/** Gives on what comes. @returns the failure if it ended too early. */
async function* copyBody(
  response: HttpResponse,
  endpoint: Endpoint,
  { blob, progress, signal }: Download,
): AsyncGenerator<Uint8Array, BuildError | undefined> {
  const start = startOf(response, progress.offset);
  checkLength(response, endpoint, { blob, start });
  let position = start;
  const chunks = (response.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await chunks.next().catch((error: unknown) => ({ error }));
      signal?.throwIfAborted();
      if ('error' in next) return interrupted(endpoint, blob, messageOf(next.error));
      if (next.done === true) break;
      const fresh = next.value.subarray(Math.min(Math.max(0, progress.offset - position), next.value.byteLength));
      position += next.value.byteLength;
      if (position > blob.size) throw wrongSize(endpoint, blob, `more than ${blob.size}`);
      progress.offset += fresh.byteLength;
      if (fresh.byteLength > 0) yield fresh;
    }
  } finally {
    // A reader that stops early leaves a connection in mid-answer.
    if (!response.body.readableEnded) response.body.destroy();
  }
  return progress.offset === blob.size ? undefined : interrupted(endpoint, blob, `only ${progress.offset} bytes came`);
}

/** Where in the blob the answer begins: registries without ranges begin anew. */
function startOf(response: HttpResponse, offset: number): number {
  if (response.status !== 206) return 0;
  const from = /^bytes (\d{1,15})-/.exec(response.headers['content-range'] ?? '')?.[1];
  return from === undefined || Number(from) > offset ? offset : Number(from);
}

function checkLength(
  response: HttpResponse,
  endpoint: Endpoint,
  { blob, start }: { readonly blob: BlobInfo; readonly start: number },
): void {
  const length = response.headers['content-length'];
  if (length === undefined || Number(length) === blob.size - start) return;
  response.body.destroy();
  throw wrongSize(endpoint, blob, String(start + Number(length)));
}

function wrongSize(endpoint: Endpoint, blob: BlobInfo, actual: string): BuildError {
  const reason = `it has ${actual} bytes, its descriptor says ${blob.size}`;
  return new BuildError('DOCUMENT_INVALID', { what: `blob ${blob.digest} from ${nameOf(endpoint)}`, reason });
}

function interrupted(endpoint: Endpoint, blob: BlobInfo, reason: string): BuildError {
  const why = `download of blob ${blob.digest} was interrupted: ${reason}`;
  return new BuildError('REGISTRY_UNREACHABLE', { registry: nameOf(endpoint), reason: why });
}
