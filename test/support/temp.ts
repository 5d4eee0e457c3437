import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A fresh directory that disposing removes, with whatever is in it. */
export interface TemporaryDirectory extends Disposable {
  readonly path: string;
  /** A path below it. */
  at(...names: readonly string[]): string;
}

/** Makes a directory below the system's one for temporary files; short, because overlay mounts count every letter. */
export function openTemp(): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), 'tsb-'));
  return {
    path,
    at: (...names) => join(path, ...names),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
