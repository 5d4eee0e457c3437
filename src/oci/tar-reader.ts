import { FormatError } from './format-error.ts';
import { EntryComposer, type ExtensionKind, extensionKind } from './tar-entry.ts';
import { decodeHeader, type RawHeader, TAR_BLOCK, type TarEntry } from './tar-header.ts';
import { GnuSparseReader, SparseExpander, type SparseMap, SparseMapReader, sparseMapOf } from './tar-sparse.ts';

/** What an archive may demand; whatever is beyond is refused before memory is taken or content is passed on. */
export interface TarLimits {
  /** Bytes of one PAX header or sparse map. */
  readonly metadataBytes?: number;
  /** Bytes of a path or a link target. */
  readonly nameBytes?: number;
  readonly entries?: number;
  /** Bytes of content of all entries together, holes of sparse files included. */
  readonly totalBytes?: number;
}

/** The limits that hold where `TarLimits` names none. */
export const DEFAULT_TAR_LIMITS: Required<TarLimits> = {
  metadataBytes: 1024 * 1024,
  nameBytes: 4096,
  entries: 10_000_000,
  totalBytes: 2 ** 40,
};

/** Takes what `TarParser` finds, in the archive's order: per entry one `entry`, its content in any number of pieces, one `end`. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  /** `chunk` is part of what was pushed: valid during the call only, unless the caller of `push` leaves its chunks alone. */
  data(chunk: Uint8Array): void;
  /** The content of the current entry is complete; called for entries without content too. */
  end(): void;
  /** Zeros of a sparse file, for handlers that can skip them; without this method they come as `data`. */
  hole?(size: number): void;
}

/** One file of an archive read with `readTar`. */
export interface TarFile {
  readonly entry: TarEntry;
  /** The content; to be read, if at all, before the next entry is asked for. */
  readonly body: AsyncIterable<Uint8Array>;
}

type State = 'header' | 'extension' | 'gnu-sparse' | 'sparse-map' | 'body' | 'padding' | 'ended';

const GNU_SPARSE_FLAG = 0x53;
const ZERO_BLOCK = Buffer.alloc(TAR_BLOCK);
const ZEROS = Buffer.alloc(64 * 1024);

/**
 * A push parser of tar archives in every format that images come in (V7, ustar, PAX, GNU and their sparse files), made for hostile input:
 * its work is linear in what is pushed, its memory bounded by the limits. Synchronous, so that a worker can write files as it parses.
 * All methods throw FormatError for an archive that is malformed, beyond a limit or (`finish`) cut off; the parser is useless afterwards.
 */
export class TarParser {
  readonly #handler: TarHandler;
  readonly #limits: Required<TarLimits>;
  readonly #composer: EntryComposer;
  #state: State = 'header';
  /** Bytes that the state still takes: of a block, of an extended header, of content, of padding. */
  #need = TAR_BLOCK;
  /** What a block or an extended header lost to the end of a chunk. */
  #torn: Buffer | undefined;
  /** A zero block was seen: the archive ends here or is broken. */
  #ending = false;
  #entries = 0;
  #totalBytes = 0;
  #extension: ExtensionKind = 'local';
  #header: RawHeader | undefined;
  #gnuSparse: GnuSparseReader | undefined;
  #sparseMap: SparseMapReader | undefined;
  #expander: SparseExpander | undefined;
  /** Bytes in the archive of the current extended header or content. */
  #size = 0;

  constructor(handler: TarHandler, limits: TarLimits = {}) {
    this.#handler = handler;
    this.#limits = { ...DEFAULT_TAR_LIMITS, ...limits };
    this.#composer = new EntryComposer(this.#limits.nameBytes);
  }

  /** Parses the next bytes and calls the handler for all that they complete. Whatever follows the archive's end is passed over. */
  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let at = 0; at < bytes.length && this.#state !== 'ended';) {
      const taken = bytes.subarray(at, at + this.#need);
      at += taken.length;
      this.#take(taken);
    }
  }

  /** Ends the archive. One without the two final zero blocks is accepted, as by all common readers, if it ends between entries. */
  finish(): void {
    if (this.#state === 'ended') return;
    if (this.#state !== 'header' || this.#torn !== undefined)
      throw new FormatError('tar ends in the middle of an entry');
    if (this.#composer.pending) throw new FormatError('tar ends after an extended header');
  }

  #take(bytes: Buffer): void {
    if (this.#state === 'body') this.#readContent(bytes);
    else if (this.#state === 'padding') this.#skipPadding(bytes);
    else if (bytes.length === this.#need && this.#torn === undefined) this.#read(bytes);
    else this.#mend(bytes);
  }

  /** Joins the pieces of a block or an extended header. */
  #mend(bytes: Buffer): void {
    // The size was checked against the limits before the state was entered.
    this.#torn ??= Buffer.alloc(this.#need);
    const whole = this.#torn;
    whole.set(bytes, whole.length - this.#need);
    this.#need -= bytes.length;
    if (this.#need > 0) return;
    this.#torn = undefined;
    this.#read(whole);
  }

  #read(bytes: Buffer): void {
    switch (this.#state) {
      case 'header':
        this.#readHeader(bytes);
        break;
      case 'extension':
        this.#readExtension(bytes);
        break;
      case 'gnu-sparse':
        this.#readGnuSparse(bytes);
        break;
      case 'sparse-map':
        this.#readSparseMap(bytes);
        break;
      case 'body':
      case 'padding':
      case 'ended':
    }
  }

  #enter(state: State, need: number): void {
    this.#state = state;
    this.#need = need;
  }

  #readHeader(block: Buffer): void {
    this.#enter('header', TAR_BLOCK);
    if (block[0] === 0 && block.equals(ZERO_BLOCK)) {
      if (this.#ending) this.#state = 'ended';
      this.#ending = true;
      return;
    }
    if (this.#ending) throw new FormatError('tar goes on after a zero block');
    const header = decodeHeader(block);
    if (header.size < 0) throw new FormatError('negative size in a tar header');
    const extension = extensionKind(header.typeFlag);
    if (extension === undefined) this.#startEntry(header, block);
    else this.#startExtension(extension, header.size);
  }

  #startExtension(kind: ExtensionKind, size: number): void {
    const isName = kind === 'long-name' || kind === 'long-link';
    const limit = isName ? this.#limits.nameBytes + 1 : this.#limits.metadataBytes;
    if (size > limit) throw new FormatError(`extended header of ${size} bytes in a tar is larger than ${limit} bytes`);
    this.#extension = kind;
    this.#size = size;
    this.#enter('extension', size);
    if (size === 0) this.#readExtension(ZERO_BLOCK.subarray(0, 0));
  }

  #readExtension(data: Buffer): void {
    this.#composer.extend(this.#extension, data);
    this.#pad();
  }

  #startEntry(header: RawHeader, block: Buffer): void {
    this.#header = header;
    if (header.typeFlag !== GNU_SPARSE_FLAG) {
      this.#openEntry(header);
      return;
    }
    if (header.format !== 'gnu') throw new FormatError('sparse file in a tar that is not in the GNU format');
    this.#gnuSparse = new GnuSparseReader(block, this.#limits.metadataBytes);
    if (this.#gnuSparse.extended) this.#enter('gnu-sparse', TAR_BLOCK);
    else this.#openEntry(header);
  }

  #readGnuSparse(block: Buffer): void {
    this.#enter('gnu-sparse', TAR_BLOCK);
    this.#gnuSparse?.extend(block);
    if (this.#gnuSparse?.extended === false) this.#openEntry(this.#header as RawHeader);
  }

  #openEntry(header: RawHeader): void {
    const entry = this.#composer.compose(header);
    const sparse = entry.type === 'file' ? this.#composer.sparse : undefined;
    this.#size = entry.size;
    if (sparse?.major === 1 && sparse.minor === 0) {
      this.#sparseMap = new SparseMapReader(this.#limits.metadataBytes);
      this.#enter('sparse-map', TAR_BLOCK);
      return;
    }
    this.#announce(entry, this.#gnuSparse?.finish(entry.size) ?? (sparse && sparseMapOf(sparse, entry.size)));
  }

  /** PAX format 1.0 keeps the map at the start of the content. */
  #readSparseMap(block: Buffer): void {
    this.#enter('sparse-map', TAR_BLOCK);
    this.#size -= TAR_BLOCK;
    if (this.#size < 0) throw new FormatError('sparse map goes beyond its file');
    if (this.#sparseMap?.push(block) !== true) return;
    const map = this.#sparseMap.finish(this.#composer.sparse?.realSize, this.#size);
    this.#announce(this.#composer.compose(this.#header as RawHeader), map);
  }

  #announce(found: TarEntry, map: SparseMap | undefined): void {
    const entry = map === undefined ? found : { ...found, size: map.realSize };
    const { entries, totalBytes } = this.#limits;
    this.#entries++;
    this.#totalBytes += entry.size;
    if (this.#entries > entries) throw new FormatError(`tar has more than ${entries} entries`);
    if (this.#totalBytes > totalBytes) throw new FormatError(`tar has more than ${totalBytes} bytes of content`);
    this.#composer.reset();
    this.#gnuSparse = undefined;
    this.#sparseMap = undefined;
    this.#handler.entry(entry);
    const sink = { data: (chunk: Uint8Array) => this.#handler.data(chunk), hole: (size: number) => this.#fill(size) };
    this.#expander = map && new SparseExpander(map, sink);
    this.#enter('body', this.#size);
    if (this.#size === 0) this.#endContent();
  }

  #readContent(bytes: Buffer): void {
    if (this.#expander === undefined) this.#handler.data(bytes);
    else this.#expander.push(bytes);
    this.#need -= bytes.length;
    if (this.#need === 0) this.#endContent();
  }

  #endContent(): void {
    this.#expander?.finish();
    this.#expander = undefined;
    this.#handler.end();
    this.#pad();
  }

  #fill(size: number): void {
    if (this.#handler.hole !== undefined) {
      this.#handler.hole(size);
      return;
    }
    for (const chunk of zeros(size)) this.#handler.data(chunk);
  }

  /** Goes on to the next header, behind the padding of what was read. */
  #pad(): void {
    const over = this.#size % TAR_BLOCK;
    if (over === 0) this.#enter('header', TAR_BLOCK);
    else this.#enter('padding', TAR_BLOCK - over);
  }

  #skipPadding(bytes: Buffer): void {
    this.#need -= bytes.length;
    if (this.#need === 0) this.#enter('header', TAR_BLOCK);
  }
}

/**
 * The entries of the archive that `source` yields, each with its content; what is not read of a content is passed over.
 * The chunks of `source` must not be reused. Leaving it early ends `source` too.
 * @throws FormatError as `TarParser`.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  limits: TarLimits = {},
): AsyncGenerator<TarFile, void> {
  const events = new TarEvents(source, limits);
  try {
    for (let event = await events.next(); event !== undefined; event = await events.next()) {
      if (event.kind !== 'entry') continue;
      const reading: ReadingState = { complete: false };
      yield { entry: event.entry, body: readContent(events, reading) };
      reading.complete = true;
    }
  } finally {
    await events.close();
  }
}

type TarEvent =
  | { readonly kind: 'entry'; readonly entry: TarEntry }
  | { readonly kind: 'data'; readonly chunk: Uint8Array }
  | { readonly kind: 'hole'; readonly size: number }
  | { readonly kind: 'end' };

interface ReadingState {
  /** The content was read to its end, or the next entry was asked for. */
  complete: boolean;
}

async function* readContent(events: TarEvents, reading: ReadingState): AsyncGenerator<Uint8Array, void> {
  while (!reading.complete) {
    const event = await events.next();
    if (event?.kind === 'data') yield event.chunk;
    else if (event?.kind === 'hole') yield* zeros(event.size);
    else reading.complete = true;
  }
}

function* zeros(size: number): Generator<Uint8Array, void> {
  for (let rest = size; rest > 0; rest -= ZEROS.length) yield ZEROS.subarray(0, rest);
}

/** Turns the parser's calls into values to be asked for; reads one chunk of the source at a time. */
class TarEvents {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #parser: TarParser;
  #queue: TarEvent[] = [];
  #taken = 0;
  #finished = false;

  constructor(source: AsyncIterable<Uint8Array>, limits: TarLimits) {
    this.#source = source[Symbol.asyncIterator]();
    this.#parser = new TarParser(
      {
        entry: (entry) => this.#queue.push({ kind: 'entry', entry }),
        data: (chunk) => this.#queue.push({ kind: 'data', chunk }),
        hole: (size) => this.#queue.push({ kind: 'hole', size }),
        end: () => this.#queue.push({ kind: 'end' }),
      },
      limits,
    );
  }

  /** The next event; `undefined` at the end of the archive. */
  async next(): Promise<TarEvent | undefined> {
    while (this.#taken === this.#queue.length && !this.#finished) {
      this.#queue = [];
      this.#taken = 0;
      const chunk = await this.#source.next();
      if (chunk.done !== true) this.#parser.push(chunk.value);
      else this.#finish();
    }
    return this.#queue[this.#taken++];
  }

  /** Ends the source, unless it has ended. */
  async close(): Promise<void> {
    if (!this.#finished) await this.#source.return?.();
  }

  #finish(): void {
    this.#finished = true;
    this.#parser.finish();
  }
}
