import type { FileAction, Mode } from '../src/core/graph.ts';
import type { ByteString } from './byte-string.ts';
import { NO_XATTRS, type Xattrs } from './extended-attributes.ts';
import type { FileStat, FileTime } from './file-stat.ts';
import type { Metadata } from './layer-target.ts';
import { type ModeChange, modeChange } from './symbolic-mode.ts';

/** The attributes of what one file action makes. */
export interface MadeBy {
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly change: ModeChange | undefined;
  readonly mtime: FileTime | undefined;
  /** Of a copied file or directory. */
  readonly copied: (stat: FileStat, xattrs: Xattrs) => Metadata;
  /** Of a parent directory that was missing. */
  readonly implied: (path: ByteString) => Metadata;
}

/** What decides about the attributes, looked up and parsed. */
export interface MadeByRequest {
  readonly action: FileAction;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** `host`: files count as owned by 0:0. */
  readonly source: 'host' | 'layers';
  /** SOURCE_DATE_EPOCH, or `undefined`: files keep their times. */
  readonly mtime: FileTime | undefined;
  readonly now: FileTime;
}

/** The attributes of what `action` makes (dockerfile.md 1.6). Parents get an octal --chmod, but not a symbolic one. */
export function madeBy({ action, owner, source, mtime, now }: MadeByRequest): MadeBy {
  const mode = action.type === 'mkdir' ? undefined : action.mode;
  const change = mode === undefined ? undefined : modeChange(mode);
  const parentMode = octalOf(mode) ?? 0o755;
  const root = { uid: 0, gid: 0 };
  return {
    owner,
    change,
    mtime,
    copied: (stat, xattrs) => {
      const type = stat.type === 'directory' ? 'directory' : 'other';
      const kept = source === 'host' ? root : { uid: stat.uid, gid: stat.gid };
      const changed = stat.type === 'symlink' ? stat.mode : (change?.(stat.mode, type) ?? stat.mode);
      return { ...(owner ?? kept), mode: changed, mtime: mtime ?? stat.mtime, xattrs };
    },
    implied: () => ({ ...(owner ?? root), mode: parentMode, mtime: mtime ?? now, xattrs: NO_XATTRS }),
  };
}

function octalOf(mode: Mode | undefined): number | undefined {
  if (typeof mode !== 'string') return mode;
  return /^[0-7]{1,4}$/.test(mode) ? Number.parseInt(mode, 8) : undefined;
}
