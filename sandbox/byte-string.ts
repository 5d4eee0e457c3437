import type { Brand } from '../src/oci/brand.ts';

/**
 * A file name or path as its bytes: one character, U+0000 to U+00FF, for each byte. Names on disk need not be UTF-8; this form keeps
 * every byte, compares with `<` in byte order, and is a cheap key of maps. It is not text: `toText` gives what people read.
 */
export type ByteString = string & Brand<'ByteString'>;

/** The bytes of `text` in UTF-8. */
export function fromText(text: string): ByteString {
  return (isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')) as ByteString;
}

/** The bytes of `buffer`. */
export function fromBytes(buffer: Buffer): ByteString {
  return buffer.toString('latin1') as ByteString;
}

/** What people read; bytes that are not UTF-8 become U+FFFD. */
export function toText(bytes: ByteString): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');
}

/** A new buffer of the bytes. */
export function toBytes(bytes: ByteString): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/** `directory/name`; `name` in the root (the empty path), `directory` for the empty name. */
export function joinPath(directory: ByteString, name: ByteString): ByteString {
  if (name === '') return directory;
  return (directory === '' ? name : `${directory}/${name}`) as ByteString;
}

/** The components of a path, without empty and `.` ones; `..` stays. */
export function components(path: ByteString): ByteString[] {
  return path.split('/').filter((part) => part !== '' && part !== '.') as ByteString[];
}

/** Everything before the last component; empty for a name alone. */
export function parentPath(path: ByteString): ByteString {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) as ByteString;
}

/** The last component. */
export function baseName(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1) as ByteString;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
