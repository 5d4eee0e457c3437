import { randomBytes } from 'node:crypto';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { materialise } from '../../sandbox/copy-baseline.ts';
import { describeWith } from '../support/requires.ts';
import { checkProgram } from '../support/run-program.ts';
import { openTemp } from '../support/temp.ts';

/** The least that mkfs.xfs makes a file system of. */
const DISK_BYTES = 512 * 1024 ** 2;

/** An XFS, whose files can share blocks, on a disk of its own. */
async function openXfs(directory: string): Promise<AsyncDisposable & { readonly path: string }> {
  const [image, path] = [join(directory, 'image'), join(directory, 'disk')];
  mkdirSync(path);
  writeFileSync(image, '');
  truncateSync(image, DISK_BYTES);
  await checkProgram('mkfs.xfs', ['-q', '-m', 'reflink=1', image]);
  await checkProgram('mount', ['-o', 'loop', image, path]);
  return { path, [Symbol.asyncDispose]: async () => void (await checkProgram('umount', [path])) };
}

describeWith(['root', 'loop', 'mkfs.xfs', 'filefrag'], 'copies of layers', () => {
  it('share their blocks with the layer where the file system can', async () => {
    using temp = openTemp();
    await using disk = await openXfs(temp.path);
    const [layer, copy] = [join(disk.path, 'layer'), join(disk.path, 'copy')];
    for (const directory of [layer, copy]) mkdirSync(directory);
    writeFileSync(join(layer, 'big'), randomBytes(4 << 20));
    const context = { checkpoint: () => undefined, beforeRead: () => undefined };
    materialise({ directories: [layer], to: copy }, context);
    await checkProgram('cmp', [join(layer, 'big'), join(copy, 'big')]);
    expect(await checkProgram('filefrag', ['-v', join(copy, 'big')])).toContain('shared');
  });
});
