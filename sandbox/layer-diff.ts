import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { Digester } from '../src/oci/digest.ts';
import { WHITEOUT_PREFIX } from '../src/oci/whiteout.ts';
import { BuildError } from '../src/core/error.ts';
import type { LayerTar } from '../src/core/layer-codec.ts';
import { joinPath, toText, type ByteString } from './byte-string.ts';
import { isOpaque, layerXattrs } from './extended-attributes.ts';
import { type FileStat, identityKey, isWhiteout, lookupStat, statOf } from './file-stat.ts';
import type { FileCalls, JobContext } from './file-jobs.ts';
import { storeError } from './store-error.ts';
import { syscalls } from './syscalls.ts';
import { hardLinkEntry, tarEntryOf } from './tar-entry-of.ts';
import { TarOutput } from './tar-output.ts';
import { isUnchangedDirectory, isUnchangedFile, isUnchangedNode } from './unchanged-file.ts';
import {
  DT_CHR,
  DT_REG,
  listNames,
  lookupEntry,
  namesOf,
  openEntry,
  openFile,
  openTree,
  readLink,
  type TreeDirectory,
  type TreeEntry,
} from './tree-directory.ts';

/** Writes a layer's directory of changes as a layer tar (see `LayerCodec.writeTar`). */
export function writeLayerTar(args: FileCalls['writeTar']['args'], context: JobContext): LayerTar {
  const fd = openSync(args.to, 'wx', 0o600);
  try {
    const digester = new Digester();
    for (const chunk of layerTar(args, context)) {
      digester.update(chunk);
      for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at);
    }
    return { size: digester.size, diffId: digester.digest() };
  } catch (error) {
    rmSync(args.to, { force: true });
    throw storeError(error, args.to);
  } finally {
    closeSync(fd);
  }
}

function* layerTar(args: FileCalls['writeTar']['args'], context: JobContext): Generator<Buffer, void> {
  using layer = openTree([args.layer]);
  using lower = args.lower.length === 0 ? undefined : openTree(args.lower.toReversed());
  const out = new TarOutput(args.epochSeconds);
  const diff = new LayerDiff(out, context);
  yield* diff.directory({ layer, lower, path: '' as ByteString, opaque: isOpaque(layer.top) });
  out.end();
  yield* out.drain();
}

/** A directory of the layer beside what lower layers have at its path. */
interface Pair {
  readonly layer: TreeDirectory;
  readonly lower: TreeDirectory | undefined;
  readonly path: ByteString;
  /** Whether the layer hides what `lower` has: here or further up is an opaque mark. */
  readonly opaque: boolean;
}

/** What a directory puts into the archive under one name. */
interface Item {
  /** As it is written: `.wh.x` for a removed `x`. */
  readonly written: ByteString;
  readonly name: ByteString;
  readonly kind: 'whiteout' | 'file' | 'other';
}

const REMOVED: FileStat = {
  type: 'file',
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0,
  links: 1,
  mtime: { seconds: 0, nanoseconds: 0 },
  ctime: { seconds: 0, nanoseconds: 0 },
  deviceMajor: 0,
  deviceMinor: 0,
  identity: [0, 0, 0, 0],
};

/** The walk of one layer. Names come in byte order as they are written, every directory before what is in it. */
class LayerDiff {
  readonly #out: TarOutput;
  readonly #context: JobContext;
  /** The first name of every file that has several. */
  readonly #linked = new Map<string, ByteString>();
  /** Directories, outermost first, that are as they were: they are written only where something in them is. */
  readonly #unwritten: NonNullable<ReturnType<typeof tarEntryOf>>[] = [];

  constructor(out: TarOutput, context: JobContext) {
    this.#out = out;
    this.#context = context;
  }

  *directory(pair: Pair): Generator<Buffer, void> {
    this.#context.checkpoint();
    for (const item of itemsOf(pair)) {
      const path = joinPath(pair.path, item.written);
      if (item.kind === 'whiteout') this.#add(tarEntryOf(path, REMOVED));
      else if (item.kind === 'file') yield* this.#file(pair, item.name);
      else yield* this.#other(pair, item.name);
      if (this.#out.hasFull) yield* this.#out.drain();
    }
  }

  *#file(pair: Pair, name: ByteString): Generator<Buffer, void> {
    this.#context.checkpoint();
    const path = joinPath(pair.path, name);
    const fd = openFile({ name, parts: pair.layer.parts });
    try {
      const stat = statOf(fd);
      if (isUnchangedFile(fd, stat, entryBelow(pair, name))) return;
      const first = stat.links > 1 ? this.#linked.get(identityKey(stat)) : undefined;
      if (first !== undefined) {
        this.#add(hardLinkEntry(path, stat, first));
        return;
      }
      if (stat.links > 1) this.#linked.set(identityKey(stat), path);
      this.#add(tarEntryOf(path, stat, { xattrs: layerXattrs(fd) }));
      yield* this.#out.content(fd, stat.size);
    } finally {
      syscalls().close(fd);
    }
  }

  *#other(pair: Pair, name: ByteString): Generator<Buffer, void> {
    const entry = lookupEntry(pair.layer, name);
    if (entry === undefined) return;
    const { stat } = entry;
    const path = joinPath(pair.path, name);
    if (stat.type === 'file') yield* this.#file(pair, name);
    else if (stat.type !== 'directory') {
      if (isUnchangedNode(entry, entryBelow(pair, name))) return;
      const target = stat.type === 'symlink' ? { target: readLink(entry) } : {};
      this.#add(this.#linkOnce(path, stat) ?? tarEntryOf(path, stat, target));
    } else {
      using layer = openEntry(entry);
      using lower = openLower(pair, name);
      const opaque = pair.opaque || isOpaque(layer.top);
      const header = tarEntryOf(path, stat, { xattrs: layerXattrs(layer.top) });
      if (lower === undefined || !isUnchangedDirectory(layer, lower)) this.#add(header);
      else if (header !== undefined) this.#unwritten.push(header);
      yield* this.directory({ layer, lower, path, opaque });
      if (this.#unwritten.at(-1) === header) this.#unwritten.pop();
    }
  }

  /** A hard link's entry, where an earlier name of the same symlink or node was written. */
  #linkOnce(path: ByteString, stat: FileStat): ReturnType<typeof hardLinkEntry> | undefined {
    if (stat.links < 2) return undefined;
    const first = this.#linked.get(identityKey(stat));
    if (first === undefined) this.#linked.set(identityKey(stat), path);
    return first === undefined ? undefined : hardLinkEntry(path, stat, first);
  }

  #add(entry: ReturnType<typeof tarEntryOf>): void {
    if (entry === undefined) return;
    for (const parent of this.#unwritten.splice(0)) this.#out.header(parent);
    this.#out.header(entry);
  }
}

function itemsOf({ layer, lower, path, opaque }: Pair): Item[] {
  const items: Item[] = [];
  const present = new Set<ByteString>();
  for (const { name, type } of namesOf(layer.top)) {
    const stat = type === DT_CHR ? lookupStat(layer.top, name) : undefined;
    const removed = stat !== undefined && isWhiteout(stat);
    if (removed && (lower === undefined || opaque || lookupEntry(lower, name) === undefined)) continue;
    present.add(name);
    if (removed) items.push(whiteoutOf(name));
    else items.push({ written: checked(name, path), name, kind: type === DT_REG ? 'file' : 'other' });
  }
  if (opaque && lower !== undefined) {
    for (const name of listNames(lower)) if (!present.has(name)) items.push(whiteoutOf(name));
  }
  return items.toSorted((a, b) => (a.written < b.written ? -1 : 1));
}

function whiteoutOf(name: ByteString): Item {
  return { written: (WHITEOUT_PREFIX + name) as ByteString, name, kind: 'whiteout' };
}

/** A file that happens to be named as a whiteout would remove another one wherever the image is unpacked. */
function checked(name: ByteString, path: ByteString): ByteString {
  if (!name.startsWith(WHITEOUT_PREFIX)) return name;
  const what = toText(joinPath(path, name));
  throw new BuildError('LAYER_INVALID', {
    what,
    reason: `no image can hold a file whose name begins with ${WHITEOUT_PREFIX}`,
  });
}

function entryBelow({ lower }: Pair, name: ByteString): TreeEntry | undefined {
  return lower === undefined ? undefined : lookupEntry(lower, name);
}

function openLower(pair: Pair, name: ByteString): TreeDirectory | undefined {
  const entry = entryBelow(pair, name);
  return entry?.stat.type === 'directory' ? openEntry(entry) : undefined;
}
