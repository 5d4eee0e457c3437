import { FormatError } from './format-error.ts';

/** Begins the name of an entry that removes its sibling of the remaining name (image-spec layer.md#whiteouts). */
export const WHITEOUT_PREFIX = '.wh.';

/** The name of an entry that hides all that lower layers have in its directory (layer.md#opaque-whiteout). */
export const OPAQUE_WHITEOUT = '.wh..wh..opq';

/** What the name of a tar entry says about lower layers; `target` is the sibling's name. */
export type Whiteout =
  { readonly kind: 'none' } | { readonly kind: 'opaque' } | { readonly kind: 'whiteout'; readonly target: Buffer };

const PREFIX = Buffer.from(WHITEOUT_PREFIX);
const OPAQUE = Buffer.from(OPAQUE_WHITEOUT);
const NONE: Whiteout = { kind: 'none' };
const SLASH = 0x2f;

/**
 * What `name`, the last component of a layer entry's path, removes.
 * @throws FormatError for a whiteout of nothing, of `.` or `..`, of a path, and for every `.wh..wh.` name but the opaque one:
 * those were bookkeeping of aufs, never content.
 */
export function classifyWhiteout(name: Buffer): Whiteout {
  if (!hasPrefix(name)) return NONE;
  if (name.equals(OPAQUE)) return { kind: 'opaque' };
  const target = name.subarray(PREFIX.length);
  const text = target.toString('latin1');
  if (
    text === '' ||
    text === '.' ||
    text === '..' ||
    target.includes(SLASH) ||
    target.includes(0) ||
    hasPrefix(target)
  ) {
    throw new FormatError(`not a valid whiteout: ${JSON.stringify(name.toString())}`);
  }
  return { kind: 'whiteout', target };
}

function hasPrefix(name: Buffer): boolean {
  return name.length >= PREFIX.length && name.compare(PREFIX, 0, PREFIX.length, 0, PREFIX.length) === 0;
}
