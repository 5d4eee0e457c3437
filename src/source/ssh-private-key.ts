import { constants, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { FormatError } from '../oci/format-error.ts';
import { parseOpensshKey, type PrivateKey } from './openssh-key.ts';
import { wireInteger, wireString } from './ssh-wire.ts';

/** What of a private key an agent's client gets. */
export interface SshKey {
  /** The public key as SSH writes it. */
  readonly blob: Buffer;
  readonly comment: string;
  /** The signature as SSH writes it; `undefined` where `flags` ask for what the key cannot do. @param flags of a sign request */
  sign(data: Uint8Array, flags: number): Promise<Buffer | undefined>;
}

/** A way to sign: what SSH calls it, and the digest. */
interface Algorithm {
  readonly name: string;
  readonly digest: string | null;
}

/** Flags of a sign request (draft-ietf-sshm-ssh-agent, section 3.6.1). Without one, an RSA key signs as in RFC 4253. */
const RSA_ALGORITHMS: ReadonlyMap<number, Algorithm> = new Map([
  [0, { name: 'ssh-rsa', digest: 'sha1' }],
  [2, { name: 'rsa-sha2-256', digest: 'sha256' }],
  [4, { name: 'rsa-sha2-512', digest: 'sha512' }],
  // Both are allowed: the stronger one, as OpenSSH has it.
  [6, { name: 'rsa-sha2-512', digest: 'sha512' }],
]);
const EC_CURVES: Readonly<Record<string, { readonly name: string; readonly digest: string }>> = {
  'P-256': { name: 'nistp256', digest: 'sha256' },
  'P-384': { name: 'nistp384', digest: 'sha384' },
  'P-521': { name: 'nistp521', digest: 'sha512' },
};
/** OpenSSH's own bounds: what is smaller is not safe, what is larger keeps a processor busy for seconds. */
const RSA_BITS = { least: 1024, most: 16_384 };

const signAsync = promisify(sign);

/**
 * The key in the text of a private key file: OpenSSH's format or PEM (PKCS#1, SEC 1, PKCS#8); ed25519, ecdsa or rsa.
 * @throws FormatError for anything else, and for a key with a passphrase
 */
export function parseSshKey(text: string): SshKey {
  const { key, comment } = parsePrivateKey(text);
  const { asymmetricKeyType: type } = key;
  if (type === 'ed25519') return ed25519Key(key, comment);
  if (type === 'ec') return ecdsaKey(key, comment);
  if (type === 'rsa') return rsaKey(key, comment);
  throw new FormatError(`it is of the type ${String(type)}, not ed25519, ecdsa or rsa`);
}

function parsePrivateKey(text: string): PrivateKey {
  const [block, label = '', body = ''] =
    /-----BEGIN ((?:[A-Z]+ )*)PRIVATE KEY-----\s([\s\S]*?)-----END [A-Z ]*-----/.exec(text) ?? [];
  if (block === undefined) throw new FormatError(whatElse(text));
  if (label === 'OPENSSH ') return parseOpensshKey(Buffer.from(body, 'base64'));
  if (label === 'ENCRYPTED ' || body.includes('ENCRYPTED')) throw new FormatError('it has a passphrase');
  try {
    return { key: createPrivateKey({ key: block, format: 'pem' }), comment: '' };
  } catch (error) {
    throw new FormatError('it is damaged, or of a type that is not known', { cause: error });
  }
}

function whatElse(text: string): string {
  if (/^(?:ssh|ecdsa|sk)-\S+ AAAA/.test(text)) return 'it is a public key; the file without .pub is wanted';
  if (text.startsWith('PuTTY-User-Key-File')) return 'it is in the format of PuTTY; puttygen can export it for OpenSSH';
  return 'it holds no private key in the format of OpenSSH or PEM';
}

function ed25519Key(key: KeyObject, comment: string): SshKey {
  const algorithm = { name: 'ssh-ed25519', digest: null };
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  const blob = Buffer.concat([wireString(algorithm.name), wireString(Buffer.from(x, 'base64url'))]);
  return {
    blob,
    comment,
    sign: async (data) => signature(algorithm, wireString(await signAsync(null, data, key))),
  };
}

function ecdsaKey(key: KeyObject, comment: string): SshKey {
  const { crv = '', x = '', y = '' } = createPublicKey(key).export({ format: 'jwk' });
  const curve = EC_CURVES[crv];
  if (curve === undefined) throw new FormatError('its curve is none of nistp256, nistp384 and nistp521');
  const algorithm = { name: `ecdsa-sha2-${curve.name}`, digest: curve.digest };
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  return {
    blob: Buffer.concat([algorithm.name, curve.name, point].map(wireString)),
    comment,
    sign: async (data) => {
      const both = await signAsync(algorithm.digest, data, { key, dsaEncoding: 'ieee-p1363' });
      const [r, s] = [both.subarray(0, both.byteLength / 2), both.subarray(both.byteLength / 2)];
      return signature(algorithm, wireString(Buffer.concat([wireInteger(r), wireInteger(s)])));
    },
  };
}

function rsaKey(key: KeyObject, comment: string): SshKey {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < RSA_BITS.least || bits > RSA_BITS.most) {
    throw new FormatError(`its ${bits} bits are not between ${RSA_BITS.least} and ${RSA_BITS.most}`);
  }
  const { n = '', e = '' } = createPublicKey(key).export({ format: 'jwk' });
  const numbers = [e, n].map((number) => wireInteger(Buffer.from(number, 'base64url')));
  return {
    blob: Buffer.concat([wireString('ssh-rsa'), ...numbers]),
    comment,
    sign: async (data, flags) => {
      const algorithm = RSA_ALGORITHMS.get(flags);
      if (algorithm === undefined) return undefined;
      const padding = constants.RSA_PKCS1_PADDING;
      return signature(algorithm, wireString(await signAsync(algorithm.digest, data, { key, padding })));
    },
  };
}

function signature({ name }: Algorithm, value: Buffer): Buffer {
  return Buffer.concat([wireString(name), value]);
}
