import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { RootMount } from '../../src/core/snapshot.ts';

const run = promisify(execFile);

/** Runs a shell script in the mounted tree, its root directory being the working directory; gives what it printed. */
export async function shellIn(root: RootMount, script: string): Promise<string> {
  const mounted = '/mnt';
  const mount =
    root.type === 'bind'
      ? `mount --bind ${root.source} ${mounted}`
      : `mount -t overlay -o '${overlayOptions(root)}' overlay ${mounted}`;
  const { stdout } = await run('unshare', ['-m', 'sh', '-ec', `${mount}\ncd ${mounted}\n${script}`]);
  return stdout;
}

function overlayOptions(root: Extract<RootMount, { type: 'overlay' }>): string {
  const lower = `lowerdir=${root.lower.toReversed().join(':')}`;
  const upper = root.upper === undefined ? [] : [`upperdir=${root.upper}`, `workdir=${root.work}`];
  const xattrs = root.xattrs === 'user' ? ['userxattr'] : [];
  return [lower, ...upper, 'redirect_dir=off,metacopy=off,index=off', ...xattrs].join(',');
}
