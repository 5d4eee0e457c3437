import type { CopyAction } from '../src/core/graph.ts';
import { baseName, type ByteString } from './byte-string.ts';
import { type Clashes, Destination } from './destination.ts';
import type { FileStat } from './file-stat.ts';
import type { MadeBy } from './made-by.ts';
import type { LayerTarget } from './layer-target.ts';
import type { LayerWriter } from './layer-writer.ts';
import { openFoundDirectory, type PathInRoot, realPath } from './path-in-root.ts';
import { excludeMatcher, isLeftOut, openRoot, selectRoots, type SelectedRoot } from './select-files.ts';
import type { SourceTree } from './source-tree.ts';
import { NotInOnePass } from './tar-layer.ts';
import { TreeCopier } from './tree-copier.ts';
import type { TreeDirectory } from './tree-directory.ts';
import { walkTree } from './tree-walk.ts';
import { unpackArchive } from './unpack-archive.ts';

const LARGE_BYTES = 1 << 20;

/** One COPY or ADD at work. */
export interface CopyRequest {
  readonly action: CopyAction;
  readonly source: SourceTree;
  readonly writer: LayerTarget;
  /** The same, where archives can be unpacked into it. */
  readonly unpacked: LayerWriter | undefined;
  readonly made: MadeBy;
  readonly clashes: Clashes;
  /** Called once for each file: before it is read, or, for an archive, after it was unpacked. */
  readonly onFile: (stat: FileStat, path: ByteString) => void;
}

/** Copies files as dockerfile.md 1.6 says. @throws SOURCE_NOT_FOUND, COPY_INVALID, CONTEXT_CHANGED, ARCHIVE_INVALID */
export async function copyFiles(request: CopyRequest): Promise<void> {
  const { action, source, made, writer, clashes } = request;
  const roots = selectRoots(source, { paths: action.sources, parents: action.parents });
  const excluded = excludeMatcher(action.exclude);
  for (const root of roots) {
    using found = openRoot(source, root);
    const place = new Destination({ dest: action.dest, writer, made, clashes });
    using directory = openFoundDirectory(found);
    // A copier for each: hard links between files that come from different sources are not kept.
    const copier = new TreeCopier(writer, {
      describe: made.copied,
      onFile: request.onFile,
      conflicts: 'error',
    });
    try {
      if (directory !== undefined) copyDirectory({ request, root, found, directory, excluded, copier, place });
      else if (!isLeftOut(root, action, excluded)) await copyFile({ request, root, found, excluded, copier, place });
    } finally {
      copier.close();
    }
  }
}

/** Whether a copy brings along so much that its layer is worth a tar made straight from the sources. */
export function isLarge(source: SourceTree, action: CopyAction): boolean {
  const roots = selectRoots(source, { paths: action.sources, parents: action.parents });
  const types = roots.map((root) => {
    using found = openRoot(source, root);
    const stat = found.entry?.stat;
    return stat?.type === 'file' ? (stat.size < LARGE_BYTES ? 'small' : 'large') : (stat?.type ?? 'directory');
  });
  // The names in several directories come in no order.
  return types.filter((type) => type === 'directory').length < 2 && types.some((type) => type !== 'small');
}

interface DirectoryCopy {
  readonly request: CopyRequest;
  readonly root: SelectedRoot;
  readonly found: PathInRoot;
  readonly directory: TreeDirectory;
  readonly excluded: ReturnType<typeof excludeMatcher>;
  readonly copier: TreeCopier;
  readonly place: Destination;
}

function copyDirectory({ request, root, found, directory, excluded, copier, place }: DirectoryCopy): void {
  if (directory.parts.length === 0) return;
  const { source } = request;
  copier.goTo(place.directory(), root.path);
  walkTree(
    { directory, path: realPath(found), filter: { hidden: source.hidden, excluded, included: root.included } },
    copier,
  );
}

async function copyFile({
  request,
  root,
  found,
  excluded,
  copier,
  place,
}: Omit<DirectoryCopy, 'directory'>): Promise<void> {
  const { entry } = found;
  if (entry === undefined || entry.stat.type === 'socket') return;
  const { unpack } = request.action;
  if (unpack !== 'never' && entry.stat.type === 'file') {
    if (request.unpacked === undefined) throw new NotInOnePass();
    const into = { ...request, writer: request.unpacked };
    if (await unpackArchive({ request: into, entry, path: root.path, excluded, at: () => place.directory().path })) {
      request.onFile(entry.stat, root.path);
      return;
    }
  }
  const name = baseName(root.path);
  const { directory, as } = place.forFile(name);
  copier.goTo(directory, '' as ByteString);
  copier.copyFile(entry, as, root.path);
}
