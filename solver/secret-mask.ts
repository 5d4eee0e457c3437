import type { OutputListener } from '../src/core/executor.ts';

const MASK = Buffer.from('***');
/** Shorter values would mask half of every line. */
const SHORTEST = 4;

/** An output listener that owes its last bytes until it is flushed. */
export interface MaskedOutput {
  readonly write: OutputListener;
  readonly flush: () => void;
}

/**
 * Hides secret values, and their base64, in a step's output before anybody stores or shows it.
 * A value may be cut in two by chunks: as many bytes as could begin one are held back until more comes.
 */
export function maskSecrets(values: readonly Uint8Array[], listener: OutputListener): MaskedOutput {
  const needles = values.flatMap(spellings).filter((needle) => needle.length >= SHORTEST);
  if (needles.length === 0) return { write: listener, flush: () => undefined };
  needles.sort((a, b) => b.length - a.length);
  const pending: Record<'stdout' | 'stderr', Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  return {
    write(stream, chunk) {
      const text = replaceAll(Buffer.concat([pending[stream], chunk]), needles);
      const held = heldBack(text, needles);
      pending[stream] = text.subarray(text.length - held);
      if (text.length > held) listener(stream, text.subarray(0, text.length - held));
    },
    flush() {
      for (const stream of ['stdout', 'stderr'] as const) {
        if (pending[stream].length > 0) listener(stream, pending[stream]);
        pending[stream] = Buffer.alloc(0);
      }
    },
  };
}

/** The ways in which a value may be printed: as it is, without its last newline, in base64. */
function spellings(value: Uint8Array): readonly Buffer[] {
  const raw = Buffer.from(value);
  const trimmed = Buffer.from(raw.toString('latin1').trimEnd(), 'latin1');
  return [raw, trimmed, ...[raw, trimmed].map((bytes) => Buffer.from(bytes.toString('base64').replace(/=+$/, '')))];
}

function replaceAll(text: Buffer, needles: readonly Buffer[]): Buffer {
  let result = text;
  for (const needle of needles) {
    const parts: Buffer[] = [];
    let from = 0;
    for (let at = result.indexOf(needle); at !== -1; at = result.indexOf(needle, from)) {
      parts.push(result.subarray(from, at), MASK);
      from = at + needle.length;
    }
    if (from > 0) result = Buffer.concat([...parts, result.subarray(from)]);
  }
  return result;
}

/** The length of the longest tail of `text` that begins one of the needles. */
function heldBack(text: Buffer, needles: readonly Buffer[]): number {
  let longest = 0;
  for (const needle of needles) {
    for (let length = Math.min(needle.length - 1, text.length); length > longest; length -= 1) {
      if (text.subarray(text.length - length).equals(needle.subarray(0, length))) longest = length;
    }
  }
  return longest;
}
