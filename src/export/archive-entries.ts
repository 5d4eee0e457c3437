import type { ContentStore } from '../core/content.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { TarEntry } from '../oci/tar-header.ts';
import { blobPath } from './layout-files.ts';

/** One member of an archive that is written. */
export interface ArchiveEntry {
  readonly entry: TarEntry;
  readonly body?: AsyncIterable<Uint8Array>;
}

/**
 * The members of an archive: small files first, so that whoever reads it as a stream knows early what comes, then the blobs.
 * The bytes depend on these alone: no time, no owner.
 */
export async function* archiveEntries(
  files: readonly (readonly [name: string, bytes: Uint8Array])[],
  blobs: readonly Descriptor[],
  o: { readonly content: ContentStore; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<ArchiveEntry> {
  for (const [name, bytes] of files) yield { entry: entryFor(name, 'file', bytes.byteLength), body: once(bytes) };
  yield { entry: entryFor('blobs', 'directory', 0) };
  yield { entry: entryFor('blobs/sha256', 'directory', 0) };
  for (const blob of blobs.toSorted((a, b) => (a.digest < b.digest ? -1 : 1))) {
    yield {
      entry: entryFor(blobPath(blob.digest), 'file', blob.size),
      body: o.content.read(blob, { signal: o.signal }),
    };
  }
}

function entryFor(path: string, type: 'file' | 'directory', size: number): TarEntry {
  return {
    path: Buffer.from(path),
    type,
    mode: type === 'file' ? 0o644 : 0o755,
    uid: 0,
    gid: 0,
    size,
    mtime: { seconds: 0, nanoseconds: 0 },
    xattrs: new Map(),
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
