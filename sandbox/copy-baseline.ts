import { contentXattrs, NO_XATTRS } from './extended-attributes.ts';
import type { ByteString } from './byte-string.ts';
import type { CopyBaseline, FileCalls, JobContext } from './file-jobs.ts';
import type { FileStat } from './file-stat.ts';
import type { Metadata } from './layer-target.ts';
import { LayerWriter } from './layer-writer.ts';
import { packState, STATE_WORDS } from './stat-cache.ts';
import { directoryStat, openTree } from './tree-directory.ts';
import { TreeCopier } from './tree-copier.ts';
import { walkTree } from './tree-walk.ts';

/** Longer than any kernel's clock tick: what changes after this has other times than what was copied before. */
const TICK_MS = 20;
const unfiltered = { hidden: undefined, excluded: undefined, included: undefined };

/** Copies a whole stack of layers into the empty directory `to`. */
export function materialise({ directories, to }: FileCalls['materialise']['args'], context: JobContext): CopyBaseline {
  if (directories.length === 0) return new Map();
  using tree = openTree(directories.toReversed());
  {
    using writer = new LayerWriter({ upper: to, lower: [], xattrs: 'user' });
    const copier = new TreeCopier(writer, { describe: kept, onFile: context.checkpoint, conflicts: 'error' });
    const root = writer.directory('' as ByteString, never);
    writer.describe(root.upper, kept(directoryStat(tree), contentXattrs(tree.top)));
    copier.goTo(root, '' as ByteString);
    walkTree({ directory: tree, path: '' as ByteString, filter: unfiltered }, copier);
    writer.finish();
  }
  const baseline = statesOf(to);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TICK_MS);
  return baseline;
}

/** What tells one state of a file from another. */
export function stateKey(stat: FileStat): string {
  const words = new Uint32Array(STATE_WORDS);
  packState(stat, words, 0);
  return words.join(' ');
}

function statesOf(root: string): CopyBaseline {
  const states = new Map<ByteString, string>();
  using tree = openTree([root]);
  walkTree(
    { directory: tree, path: '' as ByteString, filter: unfiltered },
    {
      enter: (path, { stat }) => states.set(path, stateKey(stat)),
      leave: () => undefined,
      file: (path, { stat }) => states.set(path, stateKey(stat)),
    },
  );
  return states;
}

function kept(stat: FileStat, xattrs: Metadata['xattrs']): Metadata {
  return {
    mode: stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    mtime: stat.mtime,
    xattrs: xattrs.size === 0 ? NO_XATTRS : xattrs,
  };
}

function never(path: ByteString): never {
  throw new Error(`bug in tsbuild: ${JSON.stringify(path)} is the root`);
}
