import { FormatError } from '../oci/format-error.ts';

/** A byte string in SSH's data types (RFC 4251 section 5), read from the start. Every method throws FormatError where the bytes end too early. */
export class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A number of four bytes. */
  uint32(): number {
    return this.#take(4).readUInt32BE();
  }

  /** A `string`: its length and that many bytes. */
  string(): Buffer {
    return this.#take(this.uint32());
  }

  /** A `string` of ASCII. */
  text(): string {
    return this.string().toString('latin1');
  }

  /** An `mpint` that is not negative: its bytes without leading zeros. */
  integer(): Buffer {
    const bytes = this.string();
    if ((bytes[0] ?? 0) >= 0x80) throw new FormatError('a number is negative');
    const first = bytes.findIndex((byte) => byte !== 0);
    return first === -1 ? Buffer.alloc(0) : bytes.subarray(first);
  }

  /** All that has not been read. */
  rest(): Buffer {
    return this.#take(this.#bytes.byteLength - this.#at);
  }

  #take(size: number): Buffer {
    if (this.#at + size > this.#bytes.byteLength) throw new FormatError('it is cut off');
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }
}

/** A `uint32`. */
export function wireUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A `string`. */
export function wireString(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([wireUint32(bytes.byteLength), bytes]);
}

/** An `mpint` of an unsigned number, big-endian, however many leading zeros it has. */
export function wireInteger(value: Uint8Array): Buffer {
  const first = value.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? new Uint8Array() : value.subarray(first);
  return wireString((digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits);
}
