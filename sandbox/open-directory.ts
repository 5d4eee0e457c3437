import {
  AT_REMOVEDIR,
  check,
  cName,
  ELOOP,
  ENOENT,
  ENOTDIR,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  syscalls,
} from './syscalls.ts';
import { components, type ByteString } from './byte-string.ts';
import { type FileTime, lookupStat } from './file-stat.ts';
import { namesOf } from './tree-directory.ts';

const FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/** Opens the directory `name`, no link. @throws SystemError */
export function openDirectory(parent: number, name: ByteString): number {
  return check(syscalls().openat(parent, cName(name), FLAGS, 0), 'open', name);
}

/** Opens directories below a root one after the other, keeping those on the way to the last one: cheap for paths in tree order. */
export class DirectoryPath implements Disposable {
  readonly #root: number;
  readonly #open: { readonly name: ByteString; readonly fd: number }[] = [];

  constructor(root: number) {
    this.#root = root;
  }

  /** A descriptor of the directory at `path`, valid until the next call; `undefined` where there is none, or a link on the way. */
  open(path: ByteString): number | undefined {
    const names = components(path);
    let depth = 0;
    while (depth < names.length && this.#open[depth]?.name === names[depth]) depth++;
    this.#close(depth);
    for (const name of names.slice(depth)) {
      const fd = syscalls().openat(this.#open.at(-1)?.fd ?? this.#root, cName(name), FLAGS, 0);
      if (fd === ENOENT || fd === ENOTDIR || fd === ELOOP) return undefined;
      this.#open.push({ name, fd: check(fd, 'open', path) });
    }
    return this.#open.at(-1)?.fd ?? this.#root;
  }

  [Symbol.dispose](): void {
    this.#close(0);
  }

  #close(depth: number): void {
    for (const { fd } of this.#open.splice(depth)) syscalls().close(fd);
  }
}

const times = Buffer.alloc(32);

/** Two struct timespec: access and modification, the same. */
export function timesOf({ seconds, nanoseconds }: FileTime): Buffer {
  for (const offset of [0, 16]) {
    times.writeInt32LE(Math.floor(seconds / 2 ** 32), offset + 4);
    times.writeUInt32LE(((seconds % 2 ** 32) + 2 ** 32) % 2 ** 32, offset);
    times.writeUInt32LE(nanoseconds, offset + 8);
  }
  return times;
}

/** Removes `name` and all below it, never through a link. */
export function removeTree(parent: number, name: ByteString): void {
  const stat = lookupStat(parent, name);
  if (stat === undefined) return;
  if (stat.type === 'directory') {
    const fd = openDirectory(parent, name);
    try {
      for (const child of namesOf(fd)) removeTree(fd, child.name);
    } finally {
      syscalls().close(fd);
    }
  }
  check(syscalls().unlinkat(parent, cName(name), stat.type === 'directory' ? AT_REMOVEDIR : 0), 'unlink', name);
}
