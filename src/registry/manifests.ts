import { BuildError } from '../core/error.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { digestOf, parseDigest } from '../oci/digest.ts';
import { isIndexType, isManifestType, MediaTypes } from '../oci/media-type.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import type { Endpoint } from './endpoint.ts';
import { bodyOf, type HttpResponse } from './http-message.ts';
import { nameOf, refusal } from './refusal.ts';
import { type Call, pathOf, scopeOf, type Session } from './session.ts';
import { discard, readBody } from './transport.ts';

/** Larger documents are refused (distribution-spec: registries accept at least 4 MiB). */
export const DOCUMENT_LIMIT = 4 * 1024 * 1024;

const ACCEPT = [MediaTypes.index, MediaTypes.manifest, MediaTypes.dockerIndex, MediaTypes.dockerManifest].join(', ');
const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;

interface Question {
  readonly reference: Reference;
  readonly signal: AbortSignal | undefined;
}

/** What a tag or digest names on `endpoint`; `undefined` where there is no such thing. */
export async function resolveManifest(
  session: Session,
  endpoint: Endpoint,
  o: Question,
): Promise<Descriptor | undefined> {
  const name = o.reference.digest ?? o.reference.tag ?? 'latest';
  const head = await session.call(endpoint, manifestCall(endpoint, { ...o, method: 'HEAD', name }));
  discard(head);
  if (head.status === 404) return undefined;
  const told = head.status === 200 ? descriptorIn(head, o.reference, endpoint) : undefined;
  if (told !== undefined) return told;
  // A registry that answers HEAD badly is asked for the document itself; its refusal also says more.
  const response = await session.call(endpoint, manifestCall(endpoint, { ...o, method: 'GET', name }));
  if (response.status === 404) {
    discard(response);
    return undefined;
  }
  if (response.status !== 200) throw await refusal(endpoint, response, formatReference(o.reference));
  const mediaType = mediaTypeOf(response, o.reference, endpoint);
  const bytes = await readDocument(response, formatReference(o.reference));
  return { mediaType, digest: expectDigest(digestOf(bytes), o.reference, endpoint), size: bytes.byteLength };
}

/** The document that `descriptor` points to, verified; `undefined` where `endpoint` does not have it. */
export async function fetchManifest(
  session: Session,
  endpoint: Endpoint,
  o: Question & { readonly descriptor: Descriptor },
): Promise<Uint8Array | undefined> {
  const { digest, mediaType } = o.descriptor;
  const isManifest = isManifestType(mediaType) || isIndexType(mediaType);
  const call = isManifest
    ? manifestCall(endpoint, { ...o, method: 'GET', name: digest })
    : {
        method: 'GET' as const,
        target: pathOf(endpoint, o.reference, `blobs/${digest}`),
        scopes: [scopeOf(endpoint, o.reference.repository, 'pull')],
        signal: o.signal,
      };
  const response = await session.call(endpoint, call);
  if (response.status === 404) {
    discard(response);
    return undefined;
  }
  const what = formatReference({ ...o.reference, digest });
  if (response.status !== 200) throw await refusal(endpoint, response, what);
  if (isManifest && mediaTypeOf(response, o.reference, endpoint) !== mediaType) {
    response.body.destroy();
    const reason = `${nameOf(endpoint)} says it is ${contentType(response)}, its descriptor ${mediaType}`;
    throw new BuildError('DOCUMENT_INVALID', { what, reason });
  }
  const bytes = await readDocument(response, what);
  const actual = digestOf(bytes);
  if (actual !== digest)
    throw new BuildError('DIGEST_MISMATCH', { what: `${what} from ${nameOf(endpoint)}`, expected: digest, actual });
  if (bytes.byteLength !== o.descriptor.size) {
    const reason = `it has ${bytes.byteLength} bytes, its descriptor says ${o.descriptor.size}`;
    throw new BuildError('DOCUMENT_INVALID', { what, reason });
  }
  return bytes;
}

/** Publishes `bytes` under the reference's tag or, without one, its digest. */
export async function pushManifest(
  session: Session,
  endpoint: Endpoint,
  o: Question & { readonly descriptor: Descriptor; readonly bytes: Uint8Array },
): Promise<void> {
  const { bytes, descriptor, reference } = o;
  const response = await session.call(endpoint, {
    method: 'PUT',
    target: pathOf(endpoint, reference, `manifests/${reference.tag ?? descriptor.digest}`),
    scopes: [scopeOf(endpoint, reference.repository, 'pull,push')],
    headers: { 'content-type': descriptor.mediaType },
    body: bodyOf(bytes),
    signal: o.signal,
  });
  if (response.status !== 201 && response.status !== 200 && response.status !== 202) {
    throw await refusal(endpoint, response, `push of ${formatReference(reference)}`);
  }
  discard(response);
  const stored = response.headers['docker-content-digest'];
  if (typeof stored === 'string' && stored !== descriptor.digest) {
    const what = `${formatReference(reference)} as stored by ${nameOf(endpoint)}`;
    throw new BuildError('DIGEST_MISMATCH', { what, expected: descriptor.digest, actual: stored.slice(0, 128) });
  }
}

function manifestCall(
  endpoint: Endpoint,
  o: Question & { readonly method: 'GET' | 'HEAD'; readonly name: string },
): Call {
  return {
    method: o.method,
    target: pathOf(endpoint, o.reference, `manifests/${o.name}`),
    scopes: [scopeOf(endpoint, o.reference.repository, 'pull')],
    headers: { accept: ACCEPT },
    signal: o.signal,
  };
}

/** What the headers of a HEAD say; `undefined` where they do not say all of it. */
function descriptorIn(response: HttpResponse, reference: Reference, endpoint: Endpoint): Descriptor | undefined {
  const header = response.headers['docker-content-digest'];
  const digest = typeof header === 'string' ? parseDigest(header) : undefined;
  const length = response.headers['content-length'] ?? '';
  if (digest === undefined || !/^[1-9]\d{0,14}$/.test(length) || contentType(response) === '') return undefined;
  const size = Number(length);
  if (size > DOCUMENT_LIMIT) throw tooLarge(formatReference(reference));
  return {
    mediaType: mediaTypeOf(response, reference, endpoint),
    digest: expectDigest(digest, reference, endpoint),
    size,
  };
}

function expectDigest<D extends Descriptor['digest']>(actual: D, reference: Reference, endpoint: Endpoint): D {
  if (reference.digest === undefined || reference.digest === actual) return actual;
  const what = `${formatReference(reference)} from ${nameOf(endpoint)}`;
  throw new BuildError('DIGEST_MISMATCH', { what, expected: reference.digest, actual });
}

function contentType(response: HttpResponse): string {
  return (response.headers['content-type'] ?? '').replace(/;.*$/s, '').trim();
}

function mediaTypeOf(response: HttpResponse, reference: Reference, endpoint: Endpoint): string {
  const mediaType = contentType(response);
  if (isManifestType(mediaType) || isIndexType(mediaType)) return mediaType;
  response.body.destroy();
  const reason = SCHEMA_1.test(mediaType)
    ? 'it is an image of the obsolete schema 1; push it again with a current tool'
    : `${nameOf(endpoint)} says it is ${mediaType === '' ? 'of no type' : JSON.stringify(mediaType.slice(0, 128))}`;
  throw new BuildError('DOCUMENT_INVALID', { what: formatReference(reference), reason });
}

async function readDocument(response: HttpResponse, what: string): Promise<Buffer> {
  const bytes = await readBody(response, DOCUMENT_LIMIT);
  if (bytes === undefined) throw tooLarge(what);
  return bytes;
}

function tooLarge(what: string): BuildError {
  return new BuildError('DOCUMENT_INVALID', { what, reason: `it is larger than ${DOCUMENT_LIMIT} bytes` });
}
