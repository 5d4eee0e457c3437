import type { FileStat } from './file-stat.ts';

/** What stands in the outline of a packed layer for everything at a name and below. No layer has sockets that are looked at, least of all from then. */
export const OUTLINE_MARK = {
  mode: 0,
  uid: 0,
  gid: 0,
  mtime: { seconds: 1, nanoseconds: 0 },
  xattrs: new Map<string, Buffer>(),
} as const;

/** Thrown where the outline of a packed layer does not tell what is there: the layer must be unpacked. */
export class LayerIsPacked extends Error {
  override readonly name = 'LayerIsPacked';
  readonly code = 'LAYER_IS_PACKED';
}

/** Whether `error` is `LayerIsPacked`, or was it in another thread. */
export function isLayerPacked(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'LAYER_IS_PACKED';
}

/** @throws LayerIsPacked for the mark. */
export function checkKnown({ type, mode, mtime }: FileStat): void {
  if (type === 'socket' && mode === 0 && mtime.seconds === OUTLINE_MARK.mtime.seconds && mtime.nanoseconds === 0)
    throw new LayerIsPacked('a layer of the store has to be unpacked first');
}
