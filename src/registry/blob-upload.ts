import { setTimeout as delay } from 'node:timers/promises';
import type { BlobInfo } from '../core/content.ts';
import { formatRepository, type Reference } from '../oci/reference.ts';
import { pushChunks } from './chunked-upload.ts';
import type { Endpoint } from './endpoint.ts';
import type { HttpResponse } from './http-message.ts';
import { isTransient } from './network-failure.ts';
import { refusal } from './refusal.ts';
import { pathOf, scopeOf, type Session } from './session.ts';
import { backoff, discard } from './transport.ts';
import { completionOf, describeUpload, pushScopes, startUpload, type Upload, type UploadSession } from './upload.ts';

/** Answers after which the same upload may succeed when it begins anew; 404 and 416 mean that the registry lost track of it. */
const RESTART_STATUS: ReadonlySet<number> = new Set([404, 408, 416, 429, 500, 502, 503, 504]);
const TOO_LARGE = 413;

/** Whether the repository on `endpoint` has the blob. */
export async function hasBlob(
  session: Session,
  endpoint: Endpoint,
  o: { readonly reference: Reference; readonly blob: BlobInfo; readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  const response = await session.call(endpoint, {
    method: 'HEAD',
    target: pathOf(endpoint, o.reference, `blobs/${o.blob.digest}`),
    scopes: [scopeOf(endpoint, o.reference.repository, 'pull,push')],
    signal: o.signal,
  });
  discard(response);
  if (response.status === 200) return true;
  if (response.status === 404) return false;
  throw await refusal(endpoint, response, `blob ${o.blob.digest} of ${formatRepository(o.reference)}`);
}

/**
 * Uploads a blob in one request, or in chunks where the registry finds that too large, or not at all where it can be mounted.
 * Interrupted uploads begin anew.
 */
export async function pushBlob(session: Session, endpoint: Endpoint, o: Upload): Promise<void> {
  const { limits } = session.transport;
  let push = pushWhole;
  for (let attempt = 1; ; attempt++) {
    const outcome = await pushOnce(session, endpoint, { ...o, push });
    if (outcome.kind === 'stored') return;
    if (outcome.kind === 'too large' && push !== pushChunks) {
      push = pushChunks;
      continue;
    }
    if (outcome.kind === 'too large' || attempt >= limits.attempts) throw outcome.error;
    await delay(backoff(limits, attempt), undefined, o.signal === undefined ? {} : { signal: o.signal }).catch(() =>
      o.signal?.throwIfAborted(),
    );
    // The answer that was lost may have been the good one.
    if (await hasBlob(session, endpoint, o)) return;
  }
}

type Outcome =
  | { readonly kind: 'stored' }
  | { readonly kind: 'too large'; readonly error: unknown }
  | { readonly kind: 'interrupted'; readonly error: unknown };

type Push = (
  session: Session,
  endpoint: Endpoint,
  o: { readonly upload: Upload; readonly start: UploadSession },
) => Promise<HttpResponse>;

async function pushOnce(session: Session, endpoint: Endpoint, o: Upload & { readonly push: Push }): Promise<Outcome> {
  try {
    const start = await startUpload(session, endpoint, o);
    if (start === undefined) return { kind: 'stored' };
    const response = await o.push(session, endpoint, { upload: o, start });
    if (response.status === 201 || response.status === 204) {
      discard(response);
      return { kind: 'stored' };
    }
    const { status } = response;
    const error = await refusal(endpoint, response, describeUpload(o));
    if (status === TOO_LARGE) return { kind: 'too large', error };
    if (RESTART_STATUS.has(status)) return { kind: 'interrupted', error };
    throw error;
  } catch (error) {
    o.signal?.throwIfAborted();
    if (isTransient(error)) return { kind: 'interrupted', error };
    throw error;
  }
}

const pushWhole: Push = (session, endpoint, { upload, start }) =>
  session.call(endpoint, {
    method: 'PUT',
    target: completionOf(start.location, upload.blob),
    scopes: pushScopes(endpoint, upload),
    headers: { 'content-type': 'application/octet-stream' },
    body: { size: upload.blob.size, open: upload.open },
    repeat: 'unsafe',
    signal: upload.signal,
  });
