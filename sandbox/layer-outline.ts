import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { baseName, parentPath, type ByteString } from './byte-string.ts';
import type { OverlayXattrs } from './extended-attributes.ts';
import { typeBits } from './file-stat.ts';
import { LayerWriter } from './layer-writer.ts';
import { OUTLINE_MARK } from './outline-mark.ts';
import type { PackedTar } from './tar-layer.ts';

/** Names beyond this many are no outline but the thing itself. */
const MAX_NAMES = 1000;

/** The directory in a packed layer's that stands for its files, until somebody looks at one of them. */
export function outlineDirectory(packed: string): string {
  return join(packed, 'outline');
}

/** Makes that directory, unless it would be too large. */
export function writeOutline(
  packed: string,
  { outline, root }: Pick<PackedTar, 'outline' | 'root'>,
  xattrs: OverlayXattrs,
): void {
  if (outline.length > MAX_NAMES) return;
  const upper = outlineDirectory(packed);
  mkdirSync(upper, { mode: 0o700 });
  using writer = new LayerWriter({ upper, lower: [], xattrs });
  writer.describeDirectory(writer.directory('' as ByteString, missing), root);
  for (const { path, directory } of outline) {
    const parent = writer.directory(parentPath(path), missing);
    if (directory === undefined)
      writer.createNode(parent, baseName(path), { kind: typeBits('socket'), device: 0, metadata: OUTLINE_MARK });
    else writer.makeDirectory(parent, baseName(path), directory);
  }
  writer.finish();
}

function missing(path: ByteString): never {
  throw new Error(`bug in tsbuild: ${JSON.stringify(path)} comes before what is in it`);
}
