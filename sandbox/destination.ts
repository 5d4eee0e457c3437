import { BuildError } from '../src/core/error.ts';
import { baseName, fromText, parentPath, toText, type ByteString } from './byte-string.ts';
import { blockedAt, type LayerDirectory, type LayerTarget } from './layer-target.ts';
import type { MadeBy } from './made-by.ts';

/** The files that sources of one operation have become, as against files put into a directory. */
export class Clashes {
  readonly #policy: 'refuse' | 'replace';
  readonly #made = new Set<ByteString>();

  constructor(policy: 'refuse' | 'replace') {
    this.#policy = policy;
  }

  /** Notes that a source becomes the file at `path`. @throws COPY_INVALID where another source has. */
  add(path: ByteString, dest: string): void {
    if (this.#policy === 'refuse' && this.#made.has(path)) {
      throw new BuildError('COPY_INVALID', {
        path: dest,
        reason: 'several sources need a directory as destination; write it with a slash at the end',
      });
    }
    this.#made.add(path);
  }
}

/** What a copy writes to. */
export interface DestinationRequest {
  /** As written: absolute, with a slash at the end where it must be a directory. */
  readonly dest: string;
  readonly writer: LayerTarget;
  readonly made: MadeBy;
  readonly clashes: Clashes;
}

/** Where an action's files go, found anew for every source: an earlier one may have made it. */
export class Destination {
  readonly #request: DestinationRequest;

  constructor(request: DestinationRequest) {
    this.#request = request;
  }

  /** The destination as a directory. One that is missing is made as parents are, even for a directory's contents: BuildKit makes it before it copies. */
  directory(): LayerDirectory {
    const { writer } = this.#request;
    const path = this.#real();
    if (writer.typeAt(path) !== 'directory') this.#checkMissing(path);
    return writer.directory(path, this.#request.made.implied);
  }

  /** Where a file goes, and its name there. */
  forFile(name: ByteString): { readonly directory: LayerDirectory; readonly as: ByteString } {
    const { clashes, dest, made, writer } = this.#request;
    const path = this.#real();
    const isDirectory = path === '' || writer.typeAt(path) === 'directory';
    if (isDirectory || dest.endsWith('/')) return { directory: this.directory(), as: name };
    clashes.add(path, dest);
    if (writer.typeAt(path) === undefined) this.#checkMissing(path);
    return { directory: writer.directory(parentPath(path), made.implied), as: baseName(path) };
  }

  #real(): ByteString {
    return this.#request.writer.resolve(fromText(this.#request.dest));
  }

  /** What is missing can be made only below a directory. */
  #checkMissing(path: ByteString): void {
    const blocking = blockedAt(this.#request.writer, path);
    if (blocking !== undefined) {
      throw new BuildError('COPY_INVALID', {
        path: this.#request.dest,
        reason: `/${toText(blocking)} is not a directory`,
      });
    }
  }
}
