import { BuildError } from '../core/error.ts';
import { type Digest, Digester } from '../oci/digest.ts';

/** The same bytes. @throws DIGEST_MISMATCH behind the last one where they are not what `expected` says; `what` is for the message */
export async function* verifyBytes(
  bytes: AsyncIterable<Uint8Array>,
  { what, expected }: { readonly what: string; readonly expected: Digest },
): AsyncGenerator<Uint8Array> {
  const digester = new Digester();
  for await (const chunk of bytes) {
    digester.update(chunk);
    yield chunk;
  }
  const actual = digester.digest();
  if (actual !== expected) throw new BuildError('DIGEST_MISMATCH', { what, expected, actual });
}
