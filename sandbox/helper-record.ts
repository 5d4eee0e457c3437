/** What the helper tells of a command that failed. */
export interface HelperFailure {
  readonly command: string;
  readonly subject: string;
  readonly errno: number;
  readonly detail: string;
}

/** What the native helper reports while it runs a program, and after it. */
export type HelperRecord =
  | { readonly type: 'output'; readonly stream: 'stdout' | 'stderr'; readonly chunk: Uint8Array }
  | { readonly type: 'reading'; readonly key: string; readonly text: string }
  | { readonly type: 'note'; readonly text: string }
  /** A mount point that had to be made, and was removed unless the step put something there. */
  | { readonly type: 'stub'; readonly name: string }
  | { readonly type: 'failed'; readonly failure: HelperFailure }
  /** `status` is wait(2)'s. */
  | {
      readonly type: 'ended';
      readonly status: number;
      readonly cpuUs: number;
      readonly maxRssKib: number;
      readonly ioReadBytes: number;
      readonly ioWriteBytes: number;
    }
  /** The last one of a program: everything of it is gone, and the helper waits for another one or leaves. */
  | { readonly type: 'done'; readonly next: 'again' | 'leaves' };

const headBytes = 5;
/** getrusage(2) counts blocks of this size. */
const blockBytes = 512;

/** Cuts a stream of bytes into records: a type byte, the payload's size, the payload. */
export class HelperRecordReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The records that `chunk` completes. */
  push(chunk: Buffer): HelperRecord[] {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const records: HelperRecord[] = [];
    while (bytes.length >= headBytes) {
      const end = headBytes + bytes.readUInt32LE(1);
      if (bytes.length < end) break;
      const record = decode(String.fromCharCode(bytes[0] ?? 0), bytes.subarray(headBytes, end));
      if (record !== undefined) records.push(record);
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
    return records;
  }
}

function decode(type: string, payload: Buffer): HelperRecord | undefined {
  const [first = '', second = ''] = type === 'o' || type === 'e' ? [] : payload.toString().split('\0');
  switch (type) {
    case 'o':
      return { type: 'output', stream: 'stdout', chunk: payload };
    case 'e':
      return { type: 'output', stream: 'stderr', chunk: payload };
    case 'r':
      return { type: 'reading', key: first, text: second };
    case 'n':
      return { type: 'note', text: first.trimEnd() };
    case 's':
      return { type: 'stub', name: first };
    case 'f': {
      const [command = '', subject = '', errno = '', detail = ''] = first.split('\u0001');
      return { type: 'failed', failure: { command, subject, errno: Number(errno), detail: detail.trimEnd() } };
    }
    case 'x': {
      const [status = 0, cpuUs = 0, maxRssKib = 0, blocksRead = 0, blocksWritten = 0] = first.split(' ').map(Number);
      const io = { ioReadBytes: blocksRead * blockBytes, ioWriteBytes: blocksWritten * blockBytes };
      return { type: 'ended', status, cpuUs, maxRssKib, ...io };
    }
    case 'd':
      return { type: 'done', next: first === 'again' ? 'again' : 'leaves' };
  }
  return undefined;
}
