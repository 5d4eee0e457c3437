import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, open, opendir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../core/error.ts';
import type { FetchedTrees } from '../core/source.ts';
import type { TreeUsage } from '../core/tree-usage.ts';
import { type Digest, digestHex, parseDigest } from '../oci/digest.ts';
import { failpoint } from './failpoint.ts';
import { makeDirectory } from './make-directory.ts';
import type { StateDir } from './state-dir.ts';
import { storeFailure } from './store-failure.ts';

/** Fetched trees as prune and `du` see them. */
export interface StoredTrees extends FetchedTrees {
  list(): AsyncIterable<StoredTree>;
  /** Takes the tree away unless somebody has used it at `usedBeforeMs` or later. @returns whether it did. */
  remove(identity: Digest, usedBeforeMs: number): Promise<boolean>;
}

/** A tree that was fetched. */
export interface StoredTree {
  readonly identity: Digest;
  readonly bytes: number;
  readonly createdMs: number;
  readonly usedMs: number;
}

const GATE = { name: 'gate', mode: 'shared' } as const;

/** What keeping trees needs. */
export interface TreePorts {
  readonly state: Pick<StateDir, 'tmp' | 'openedMs' | 'locked'>;
  /** What a directory takes on disk. */
  readonly usage: (directory: string) => Promise<TreeUsage>;
}

/**
 * Trees below `directory`: `trees/<hex>` is one, `used/<hex>` says what it takes, and by its time when it was used last, so that the
 * tree itself never changes. As with blobs, nobody finds a tree that goes the next moment.
 */
export function openFetchedTrees(ports: TreePorts, directory: string): StoredTrees {
  return new TreeDirectory(ports, directory);
}

class TreeDirectory implements StoredTrees {
  readonly #ports: TreePorts;
  readonly #directory: string;

  constructor(ports: TreePorts, directory: string) {
    this.#ports = ports;
    this.#directory = directory;
  }

  lookup(identity: Digest): Promise<string | undefined> {
    return this.#ports.state.locked(GATE, async () => {
      const path = this.#pathOf(identity);
      if ((await statDirectory(path)) === undefined) return undefined;
      await this.#use(identity);
      return path;
    });
  }

  async publish(identity: Digest, draft: string): Promise<string> {
    const path = this.#pathOf(identity);
    try {
      const { bytes } = await this.#ports.usage(draft);
      makeDirectory(join(this.#directory, 'trees'), { mode: 0o700 });
      await this.#ports.state.locked(GATE, async () => {
        await this.#use(identity, bytes);
        await moveUnlessThere(draft, path);
      });
      return path;
    } catch (error) {
      throw storeFailure(error, this.#directory);
    }
  }

  async *list(): AsyncGenerator<StoredTree> {
    for await (const identity of identitiesIn(join(this.#directory, 'trees'))) {
      const tree = await statDirectory(this.#pathOf(identity));
      if (tree === undefined) continue;
      const mark = await readMark(this.#markOf(identity));
      const bytes = mark?.bytes ?? (await this.#ports.usage(this.#pathOf(identity))).bytes;
      yield { identity, bytes, createdMs: tree.ctimeMs, usedMs: mark?.usedMs ?? tree.ctimeMs };
    }
  }

  async remove(identity: Digest, usedBeforeMs: number): Promise<boolean> {
    const removed = join(this.#ports.state.tmp, `tree-${randomUUID()}`);
    const isGone = await this.#ports.state.locked({ name: 'gate', mode: 'exclusive' }, async () => {
      const mark = await readMark(this.#markOf(identity));
      const isThere = (await statDirectory(this.#pathOf(identity))) !== undefined;
      if (!isThere || (mark !== undefined && mark.usedMs >= usedBeforeMs)) return false;
      await rename(this.#pathOf(identity), removed);
      await rm(this.#markOf(identity), { force: true });
      return true;
    });
    failpoint('prune-removing');
    await rm(removed, { recursive: true, force: true });
    return isGone;
  }

  #pathOf(identity: Digest): string {
    return join(this.#directory, 'trees', digestHex(identity));
  }

  #markOf(identity: Digest): string {
    return join(this.#directory, 'used', digestHex(identity));
  }

  async #use(identity: Digest, bytes?: number): Promise<void> {
    makeDirectory(join(this.#directory, 'used'), { mode: 0o700 });
    await using mark = await open(this.#markOf(identity), 'a', 0o600);
    if (bytes !== undefined) {
      await mark.truncate();
      await mark.appendFile(`${bytes}\n`);
    }
    const seconds = Math.max(Date.now(), this.#ports.state.openedMs + 1) / 1000;
    await mark.utimes(seconds, seconds);
  }
}

/** What the mark says; without bytes where it is of an older store, or half written. */
async function readMark(path: string): Promise<{ readonly usedMs: number; readonly bytes?: number } | undefined> {
  const info = await statIfThere(path);
  if (info === undefined) return undefined;
  const [, bytes] = /^(\d+)\n$/.exec(await readFile(path, 'utf8')) ?? [];
  return { usedMs: info.mtimeMs, ...(bytes === undefined ? {} : { bytes: Number(bytes) }) };
}

async function moveUnlessThere(draft: string, path: string): Promise<void> {
  try {
    await rename(draft, path);
  } catch (error) {
    // Another build was faster with the same tree.
    if (!isErrno(error, 'EEXIST', 'ENOTEMPTY')) throw error;
    await rm(draft, { recursive: true, force: true });
  }
}

async function* identitiesIn(directory: string): AsyncGenerator<Digest> {
  if ((await statDirectory(directory)) === undefined) return;
  for await (const { name } of await opendir(directory)) {
    const identity = parseDigest(`sha256:${name}`);
    if (identity !== undefined) yield identity;
  }
}

async function statDirectory(path: string): Promise<Stats | undefined> {
  const info = await statIfThere(path);
  return info?.isDirectory() === true ? info : undefined;
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
