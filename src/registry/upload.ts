import type { BlobInfo } from '../core/content.ts';
import { BuildError } from '../core/error.ts';
import { formatRepository, type Reference } from '../oci/reference.ts';
import type { Endpoint } from './endpoint.ts';
import type { HttpResponse } from './http-message.ts';
import { nameOf, refusal } from './refusal.ts';
import { pathOf, scopeOf, type Session } from './session.ts';
import { discard } from './transport.ts';

/** A blob to upload. `open` gives its bytes from the start each time. */
export interface Upload {
  readonly reference: Reference;
  readonly blob: BlobInfo;
  readonly open: () => AsyncIterable<Uint8Array>;
  /** A repository of the same registry that has the blob. */
  readonly mountFrom?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An upload that a registry has opened. */
export interface UploadSession {
  readonly location: URL;
  /** Chunks but the last must not be smaller (OCI-Chunk-Min-Length). */
  readonly minChunkSize: number;
}

/** What pushing needs in a token. */
export function pushScopes(endpoint: Endpoint, o: Upload): readonly string[] {
  const own = scopeOf(endpoint, o.reference.repository, 'pull,push');
  return o.mountFrom === undefined ? [own] : [own, scopeOf(endpoint, o.mountFrom, 'pull')];
}

/** Opens an upload; `undefined` where the registry mounted the blob from `mountFrom`, so that it is already there. */
export async function startUpload(session: Session, endpoint: Endpoint, o: Upload): Promise<UploadSession | undefined> {
  const query = new URLSearchParams(o.mountFrom === undefined ? {} : { mount: o.blob.digest, from: o.mountFrom });
  const response = await session.call(endpoint, {
    method: 'POST',
    target: pathOf(endpoint, o.reference, `blobs/uploads/?${query.toString()}`),
    scopes: pushScopes(endpoint, o),
    signal: o.signal,
  });
  if (response.status === 202) {
    discard(response);
    const minimum = Number(response.headers['oci-chunk-min-length'] ?? 0);
    return { location: locationIn(endpoint, response), minChunkSize: Number.isSafeInteger(minimum) ? minimum : 0 };
  }
  if (response.status === 201 && o.mountFrom !== undefined) {
    discard(response);
    return undefined;
  }
  // Whoever may not read the other repository may still upload to this one.
  if (o.mountFrom !== undefined && response.status < 500) {
    discard(response);
    return startUpload(session, endpoint, { ...o, mountFrom: undefined });
  }
  throw await refusal(endpoint, response, describeUpload(o));
}

/** The upload's next address. Registries behind a TLS proxy often believe that they speak plain HTTP; that is mended. */
export function locationIn(endpoint: Endpoint, response: HttpResponse): URL {
  const url = URL.parse(response.headers.location ?? '', response.url.href);
  const base = new URL(endpoint.origin);
  if (response.headers.location === undefined || url === null || !/^https?:$/.test(url.protocol)) {
    throw badLocation(endpoint, response);
  }
  url.username = '';
  url.password = '';
  if (url.protocol === 'http:' && base.protocol === 'https:') {
    if (url.hostname !== base.hostname) throw badLocation(endpoint, response);
    return new URL(`${base.origin}${url.pathname}${url.search}`);
  }
  return url;
}

/** The address that completes an upload. What the registry wrote into the query stays as it is: it may be signed. */
export function completionOf(location: URL, blob: BlobInfo): URL {
  const url = new URL(location);
  url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(blob.digest)}`;
  return url;
}

/** The upload as messages name it. */
export function describeUpload(o: Upload): string {
  return `upload of blob ${o.blob.digest} to ${formatRepository(o.reference)}`;
}

function badLocation(endpoint: Endpoint, response: HttpResponse): BuildError {
  const reason = 'it gave no usable address for the upload';
  return new BuildError('REGISTRY_REFUSED', { registry: nameOf(endpoint), status: response.status, reason });
}
