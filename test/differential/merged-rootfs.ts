import { createHash } from 'node:crypto';
import type { TarFileEntry, TarFileType } from './tar-file.ts';

/** A file of a root filesystem; two names of one file are the same object. */
export interface RootFile {
  readonly type: Exclude<TarFileType, 'hardlink'>;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly size: number;
  readonly content: Buffer;
  readonly link: string;
  readonly device: string;
  readonly xattrs: Readonly<Record<string, string>>;
}

/** Files by path (latin1, no leading slash). */
export type MergedRootfs = ReadonlyMap<string, RootFile>;

/** Stacks layers, the lowest first, by the rules of image-spec layer.md: what an image's root filesystem is, with nothing unpacked. */
export function mergeLayers(layers: readonly (readonly TarFileEntry[])[]): MergedRootfs {
  const files = new Map<string, RootFile>();
  for (const layer of layers) {
    for (const entry of layer) applyWhiteout(files, entry);
    for (const entry of layer) if (!isWhiteout(entry)) applyEntry(files, entry);
  }
  return files;
}

/** What stands for a file's content in a comparison. */
export function contentOf(file: RootFile): string {
  const printable = file.content.length <= 200 && /^[\n\t\r\x20-\x7e]*$/.test(file.content.toString('latin1'));
  return printable
    ? JSON.stringify(file.content.toString('latin1'))
    : createHash('sha256').update(file.content).digest('hex');
}

function isWhiteout({ path }: TarFileEntry): boolean {
  return nameOf(path).startsWith('.wh.');
}

function applyWhiteout(files: Map<string, RootFile>, entry: TarFileEntry): void {
  if (!isWhiteout(entry)) return;
  const folder = parentOf(entry.path);
  if (nameOf(entry.path) === '.wh..wh..opq') removeBelow(files, folder);
  else removeTree(files, join(folder, nameOf(entry.path).slice('.wh.'.length)));
}

function applyEntry(files: Map<string, RootFile>, entry: TarFileEntry): void {
  addParents(files, entry.path);
  const before = files.get(entry.path);
  if (entry.type !== 'directory' || before?.type !== 'directory') removeTree(files, entry.path);
  if (entry.type !== 'hardlink') {
    files.set(entry.path, { ...entry, type: entry.type, size: entry.content.length });
    return;
  }
  const first = files.get(entry.link);
  if (first === undefined) throw new Error(`${entry.path} is a hard link to ${entry.link}, which is not there`);
  files.set(entry.path, first);
}

/** Directories that no layer has an entry for. */
function addParents(files: Map<string, RootFile>, path: string): void {
  const parent = parentOf(path);
  if (path === '' || parent === '' || files.get(parent)?.type === 'directory') return;
  addParents(files, parent);
  removeTree(files, parent);
  const nothing = { mtime: 0, size: 0, content: Buffer.alloc(0), link: '', device: '', xattrs: {} };
  files.set(parent, { type: 'directory', mode: 0o755, uid: 0, gid: 0, ...nothing });
}

function removeTree(files: Map<string, RootFile>, path: string): void {
  files.delete(path);
  removeBelow(files, path);
}

function removeBelow(files: Map<string, RootFile>, folder: string): void {
  const prefix = folder === '' ? '' : `${folder}/`;
  for (const path of files.keys()) if (path !== '' && path.startsWith(prefix)) files.delete(path);
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

function join(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}
