import { createPrivateKey, type JsonWebKeyInput, type KeyObject } from 'node:crypto';
import { FormatError } from '../oci/format-error.ts';
import { WireReader } from './ssh-wire.ts';

/** A private key and what its file says of it. */
export interface PrivateKey {
  readonly key: KeyObject;
  /** Empty where the file has none. */
  readonly comment: string;
}

type JsonWebKey = JsonWebKeyInput['key'];

const MAGIC = 'openssh-key-v1\0';
const CURVES: Readonly<Record<string, { readonly name: string; readonly bytes: number }>> = {
  nistp256: { name: 'P-256', bytes: 32 },
  nistp384: { name: 'P-384', bytes: 48 },
  nistp521: { name: 'P-521', bytes: 66 },
};
const UNCOMPRESSED_POINT = 4;

/** The key in OpenSSH's own format (its PROTOCOL.key), which `-----BEGIN OPENSSH PRIVATE KEY-----` wraps. @throws FormatError, also for one with a passphrase */
export function parseOpensshKey(bytes: Uint8Array): PrivateKey {
  const reader = new WireReader(bytes.subarray(MAGIC.length));
  if (Buffer.from(bytes.subarray(0, MAGIC.length)).toString('latin1') !== MAGIC) throw new FormatError('it is damaged');
  const cipher = reader.text();
  reader.string(); // The key derivation and its options: none where there is no cipher.
  reader.string();
  if (cipher !== 'none') throw new FormatError('it has a passphrase');
  if (reader.uint32() !== 1) throw new FormatError('it does not hold exactly one key');
  reader.string(); // The public key, which the private one says as well.
  return parsePrivateSection(new WireReader(reader.string()));
}

function parsePrivateSection(reader: WireReader): PrivateKey {
  const [check, again] = [reader.uint32(), reader.uint32()];
  if (check !== again) throw new FormatError('it is damaged');
  const key = parseFields(reader.text(), reader);
  return { key: keyOf(key), comment: reader.string().toString() };
}

function parseFields(type: string, reader: WireReader): JsonWebKey {
  switch (type) {
    case 'ssh-ed25519': {
      const [x, secret] = [reader.string(), reader.string()];
      // The seed, and the public key once more.
      return { kty: 'OKP', crv: 'Ed25519', x: base64Url(x), d: base64Url(secret.subarray(0, 32)) };
    }
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      return ecKey(reader);
    case 'ssh-rsa':
      return rsaKey(reader);
    default:
      throw new FormatError(`it is of the type ${JSON.stringify(type)}, not ed25519, ecdsa or rsa`);
  }
}

function ecKey(reader: WireReader): JsonWebKey {
  const curve = CURVES[reader.text()];
  const point = reader.string();
  if (curve === undefined || point[0] !== UNCOMPRESSED_POINT || point.byteLength !== 1 + 2 * curve.bytes) {
    throw new FormatError('it is damaged');
  }
  const digits = reader.integer();
  const d = Buffer.concat([Buffer.alloc(Math.max(0, curve.bytes - digits.byteLength)), digits]);
  const [x, y] = [point.subarray(1, 1 + curve.bytes), point.subarray(1 + curve.bytes)];
  return { kty: 'EC', crv: curve.name, x: base64Url(x), y: base64Url(y), d: base64Url(d) };
}

function rsaKey(reader: WireReader): JsonWebKey {
  const [n, e, d] = [reader.integer(), reader.integer(), reader.integer()];
  const [qi, p, q] = [reader.integer(), reader.integer(), reader.integer()];
  const fields = { n, e, d, p, q, dp: reduce(d, p), dq: reduce(d, q), qi };
  return {
    kty: 'RSA',
    ...Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, base64Url(value)])),
  };
}

/** `d mod (prime - 1)`, which OpenSSH leaves to be computed. */
function reduce(d: Buffer, prime: Buffer): Buffer {
  const [exponent, modulus] = [numberOf(d), numberOf(prime) - 1n];
  if (modulus <= 0n) throw new FormatError('it is damaged');
  const hex = (exponent % modulus).toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex') || '0'}`);
}

function keyOf(key: JsonWebKey): KeyObject {
  try {
    return createPrivateKey({ key, format: 'jwk' });
  } catch (error) {
    throw new FormatError('it is damaged', { cause: error });
  }
}

function base64Url(bytes: Buffer): string {
  return bytes.toString('base64url');
}
