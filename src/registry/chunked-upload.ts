import type { Endpoint } from './endpoint.ts';
import { bodyOf, type HttpResponse } from './http-message.ts';
import type { Session } from './session.ts';
import { discard } from './transport.ts';
import { completionOf, locationIn, pushScopes, type Upload, type UploadSession } from './upload.ts';

/** Below what proxies in front of registries commonly accept in one request. */
const CHUNK_SIZE = 16 * 1024 * 1024;

/** A registry that asks for more in one request is not served. */
const MAX_CHUNK_SIZE = 128 * 1024 * 1024;

/** Uploads in chunks, one after the other. @returns the answer to the completing request, or the first that is none of success. */
export async function pushChunks(
  session: Session,
  endpoint: Endpoint,
  { upload, start }: { readonly upload: Upload; readonly start: UploadSession },
): Promise<HttpResponse> {
  const { blob, signal } = upload;
  const scopes = pushScopes(endpoint, upload);
  await using source = openSlices(upload.open());
  let { location } = start;
  const chunkSize = Math.min(Math.max(CHUNK_SIZE, start.minChunkSize), MAX_CHUNK_SIZE);
  for (let offset = 0; offset < blob.size; offset += chunkSize) {
    const bytes = await source.take(chunkSize);
    const response = await session.call(endpoint, {
      method: 'PATCH',
      target: location,
      scopes,
      headers: {
        'content-type': 'application/octet-stream',
        'content-range': `${offset}-${offset + bytes.byteLength - 1}`,
      },
      body: bodyOf(bytes),
      repeat: 'unsafe',
      signal,
    });
    if (response.status !== 202) return response;
    discard(response);
    location = locationIn(endpoint, response);
  }
  const target = completionOf(location, blob);
  return await session.call(endpoint, {
    method: 'PUT',
    target,
    scopes,
    body: bodyOf(new Uint8Array(0)),
    repeat: 'unsafe',
    signal,
  });
}

/** A stream read piece by piece. */
interface Slices extends AsyncDisposable {
  /** The next `size` bytes, fewer at the end. */
  take(size: number): Promise<Buffer>;
}

function openSlices(source: AsyncIterable<Uint8Array>): Slices {
  const chunks = source[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  return {
    take: async (size) => {
      const pieces: Uint8Array[] = [];
      for (let missing = size; missing > 0;) {
        if (rest.byteLength === 0) {
          const next = await chunks.next();
          if (next.done === true) break;
          rest = next.value;
        }
        const piece = rest.subarray(0, missing);
        rest = rest.subarray(piece.byteLength);
        missing -= piece.byteLength;
        pieces.push(piece);
      }
      return Buffer.concat(pieces);
    },
    [Symbol.asyncDispose]: async () => {
      await chunks.return?.();
    },
  };
}
