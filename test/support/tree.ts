import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** One file of a tree, as tests write it down. Text is a file's content. */
export type TreeNode =
  | string
  | {
      readonly type?: 'file' | 'directory' | 'symlink' | 'fifo' | 'hardlink';
      readonly content?: string | Uint8Array;
      /** Of a symlink, or the path in the tree of a hard link's first name. */
      readonly target?: string;
      readonly mode?: number;
      readonly uid?: number;
      readonly gid?: number;
      readonly mtimeSeconds?: number;
    };

/** A tree by path; parents need not be named. Order matters for hard links only. */
export type TreeLiteral = Readonly<Record<string, TreeNode>>;

const OLD_SECONDS = 1_700_000_000;

/** Makes the tree in `root`. Everything gets an old mtime, so that digests of files are kept. */
export function writeTree(root: string, tree: TreeLiteral): void {
  for (const [path, node] of Object.entries(tree))
    writeNode(root, path, typeof node === 'string' ? { content: node } : node);
  const deepestFirst = Object.keys(tree).toSorted((a, b) => b.length - a.length);
  for (const path of deepestFirst) {
    const node = tree[path];
    const seconds = typeof node === 'object' ? (node.mtimeSeconds ?? OLD_SECONDS) : OLD_SECONDS;
    lutimesSync(join(root, path), seconds, seconds);
  }
}

function writeNode(root: string, path: string, node: Exclude<TreeNode, string>): void {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  const type = node.type ?? (node.target === undefined ? 'file' : 'symlink');
  if (type === 'directory') mkdirSync(full, { recursive: true });
  else if (type === 'symlink') symlinkSync(node.target ?? '', full);
  else if (type === 'hardlink') linkSync(join(root, node.target ?? ''), full);
  else if (type === 'fifo') execFileSync('mkfifo', [full]);
  else writeFileSync(full, node.content ?? '');
  if (node.uid !== undefined || node.gid !== undefined) lchownSync(full, node.uid ?? 0, node.gid ?? 0);
  if (type !== 'symlink' && type !== 'hardlink') chmodSync(full, node.mode ?? (type === 'directory' ? 0o755 : 0o644));
}

/** What a tree on disk holds: by path one line such as `file 644 0:0 "text"`, `directory 755 0:0`, `symlink 0:0 -> target`. */
export function readTree(root: string, prefix = ''): Record<string, string> {
  const lines: Record<string, string> = {};
  for (const name of readdirSync(root).toSorted()) {
    const path = prefix === '' ? name : `${prefix}/${name}`;
    const full = join(root, name);
    lines[path] = describeNode(full);
    if (lstatSync(full).isDirectory()) Object.assign(lines, readTree(full, path));
  }
  return lines;
}

function describeNode(path: string): string {
  const stat = lstatSync(path);
  const owner = `${stat.uid}:${stat.gid}`;
  const mode = (stat.mode & 0o7777).toString(8);
  if (stat.isDirectory()) return `directory ${mode} ${owner}`;
  if (stat.isSymbolicLink()) return `symlink ${owner} -> ${readlinkSync(path)}`;
  if (stat.isFIFO()) return `fifo ${mode} ${owner}`;
  if (stat.isFile()) return `file ${mode} ${owner} ${JSON.stringify(readFileSync(path, 'latin1'))}`;
  return `device ${mode} ${owner} ${stat.rdev >> 8}:${stat.rdev & 255}`;
}
