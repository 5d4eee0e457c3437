import { fromText, type ByteString } from './byte-string.ts';
import type { FileCalls, JobContext } from './file-jobs.ts';
import { LayerWriter } from './layer-writer.ts';
import { openFoundDirectory, realPath, resolvePath } from './path-in-root.ts';
import { openSourceTree } from './source-tree.ts';
import { TreeCopier } from './tree-copier.ts';
import { walkTree } from './tree-walk.ts';

/** Copies what is in the directory `path` of a tree into the empty directory `to`; nothing where there is no such directory. */
export function copySubtree({ tree, path, to }: FileCalls['copySubtree']['args'], context: JobContext): undefined {
  using source = openSourceTree(tree);
  using found = resolvePath(source.root, fromText(path), 'follow');
  using directory = openFoundDirectory(found);
  if (directory === undefined || directory.parts.length === 0) return;
  using writer = new LayerWriter({ upper: to, lower: [], xattrs: 'user' });
  const owner = source.kind === 'host' ? { uid: 0, gid: 0 } : {};
  const copier = new TreeCopier(writer, {
    describe: (stat, xattrs) => ({
      mode: stat.mode,
      uid: stat.uid,
      gid: stat.gid,
      ...owner,
      mtime: stat.mtime,
      xattrs,
    }),
    onFile: context.checkpoint,
    conflicts: 'error',
  });
  copier.goTo(writer.directory('' as ByteString, unexpected), '' as ByteString);
  walkTree(
    { directory, path: realPath(found), filter: { hidden: source.hidden, excluded: undefined, included: undefined } },
    copier,
  );
  writer.finish();
}

function unexpected(path: ByteString): never {
  throw new Error(`bug in tsbuild: ${JSON.stringify(path)} is the root`);
}
