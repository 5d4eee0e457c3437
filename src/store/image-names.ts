import { readFile, stat } from 'node:fs/promises';
import type { ImageNames, NamedImage } from '../core/cache.ts';
import { BuildError, isErrno } from '../core/error.ts';
import type { ContentStore } from '../core/content.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { MediaTypes } from '../oci/media-type.ts';
import { replaceFile } from './durable-file.ts';
import { failpoint } from './failpoint.ts';
import type { StateDir } from './state-dir.ts';
import { storeFailure } from './store-failure.ts';

/** The layout's entry for a name (image-spec annotations.md); other programs find images by it: `skopeo inspect oci:STORE:NAME`. */
const REFERENCE = 'org.opencontainers.image.ref.name';
const NAMES_LOCK = { name: 'names', mode: 'exclusive' } as const;
const NAMED_AT = 'tsbuild.named-at';

type NamePlaces = Pick<StateDir, 'root' | 'layoutIndex' | 'tmp' | 'locked'>;

/** Names as the store keeps them: with those that other programs put there, and entries without a name. */
export interface LayoutNames extends ImageNames {
  /** Every entry of index.json, named or not: all of them keep their blobs. */
  entries(): Promise<readonly Descriptor[]>;
  /** Takes away all names but these, and entries without a name; the caller holds the lock `names`. @returns how many went. */
  retain(references: ReadonlySet<string>): Promise<number>;
}

/**
 * The names of images, kept in the image layout's own index.json, so that they need no database and survive the loss of ours.
 * A name can only be given to an image whose manifest is in the store.
 */
export function openImageNames(state: NamePlaces, content: Pick<ContentStore, 'lookup'>): LayoutNames {
  return new IndexNames(state, content);
}

class IndexNames implements LayoutNames {
  readonly #state: NamePlaces;
  readonly #content: Pick<ContentStore, 'lookup'>;
  #read: { readonly stamp: string; readonly entries: readonly Descriptor[] } | undefined;

  constructor(state: NamePlaces, content: Pick<ContentStore, 'lookup'>) {
    this.#state = state;
    this.#content = content;
  }

  async lookup(reference: string): Promise<NamedImage | undefined> {
    const entry = (await this.entries()).find(({ annotations }) => annotations?.[REFERENCE] === reference);
    return entry === undefined ? undefined : toNamedImage(entry);
  }

  async list(): Promise<readonly NamedImage[]> {
    return (await this.entries()).flatMap((entry) => toNamedImage(entry) ?? []);
  }

  async set(reference: string, image: Descriptor): Promise<void> {
    // The names of a cached rebuild are as they were: nothing is locked or written.
    if ((await this.lookup(reference))?.image.digest === image.digest) return;
    await this.#state.locked(NAMES_LOCK, async () => {
      if ((await this.#content.lookup(image.digest)) === undefined) {
        throw new BuildError('BLOB_NOT_FOUND', { digest: image.digest });
      }
      const others = (await this.entries()).filter(({ annotations }) => annotations?.[REFERENCE] !== reference);
      const named = { ...image.annotations, [REFERENCE]: reference, [NAMED_AT]: new Date().toISOString() };
      await this.#replace([...others, { ...image, annotations: named }]);
    });
  }

  async remove(reference: string): Promise<boolean> {
    return this.#state.locked(NAMES_LOCK, async () => {
      const before = await this.entries();
      const after = before.filter(({ annotations }) => annotations?.[REFERENCE] !== reference);
      if (after.length < before.length) await this.#replace(after);
      return after.length < before.length;
    });
  }

  async entries(): Promise<readonly Descriptor[]> {
    try {
      const { ino, size, mtimeNs } = await stat(this.#state.layoutIndex, { bigint: true });
      const stamp = `${ino} ${size} ${mtimeNs}`;
      if (this.#read?.stamp !== stamp) {
        // What is read may be newer than the stamp; then the next stamp differs, and it is read again.
        this.#read = {
          stamp,
          entries: decodeEntries(await readFile(this.#state.layoutIndex, 'utf8'), this.#state.root),
        };
      }
      return this.#read.entries;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return [];
      throw storeFailure(error, this.#state.root);
    }
  }

  async retain(references: ReadonlySet<string>): Promise<number> {
    const before = await this.entries();
    const after = before.filter(({ annotations }) => references.has(annotations?.[REFERENCE] ?? ''));
    if (after.length < before.length) await this.#replace(after);
    return before.length - after.length;
  }

  async #replace(manifests: readonly Descriptor[]): Promise<void> {
    const text = JSON.stringify({ schemaVersion: 2, mediaType: MediaTypes.index, manifests });
    try {
      await replaceFile(this.#state.layoutIndex, {
        bytes: text,
        draftIn: this.#state.tmp,
        beforePublish: () => failpoint('names-written'),
      });
    } catch (error) {
      throw storeFailure(error, this.#state.root);
    }
    failpoint('names-published');
  }
}

function toNamedImage(entry: Descriptor): NamedImage | undefined {
  const { [REFERENCE]: reference, [NAMED_AT]: namedAt, ...rest } = entry.annotations ?? {};
  if (reference === undefined) return undefined;
  const { annotations: _, ...bare } = entry;
  const image = Object.keys(rest).length === 0 ? bare : { ...bare, annotations: rest };
  const createdMs = Date.parse(namedAt ?? '');
  return { reference, image, createdMs: Number.isNaN(createdMs) ? 0 : createdMs };
}

/** Not `decodeIndex`: its limit of 4 MiB is for documents from outside, and a store may have more names than that. */
function decodeEntries(text: string, root: string): readonly Descriptor[] {
  const refuse = (reason: string, cause?: unknown): BuildError =>
    new BuildError('STORE_UNUSABLE', { path: root, reason: `index.json ${reason}` }, { cause });
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw refuse('is not JSON', cause);
  }
  if (typeof document !== 'object' || document === null || !('manifests' in document)) throw refuse('has no manifests');
  const { manifests } = document;
  if (manifests === null) return [];
  if (!Array.isArray(manifests) || !manifests.every(isDescriptor)) throw refuse('has an entry that is no descriptor');
  return manifests;
}

function isDescriptor(value: unknown): value is Descriptor {
  if (typeof value !== 'object' || value === null) return false;
  const { mediaType, digest, size, annotations } = value as Readonly<Record<keyof Descriptor, unknown>>;
  const strings = typeof annotations !== 'object' ? annotations === undefined : isStringRecord(annotations);
  return (
    typeof mediaType === 'string' &&
    typeof digest === 'string' &&
    isDigest(digest) &&
    Number.isSafeInteger(size) &&
    strings
  );
}

function isStringRecord(value: object | null): boolean {
  return value !== null && Object.values(value).every((text) => typeof text === 'string');
}
