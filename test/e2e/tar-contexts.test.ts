import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openFileServer } from '../support/file-server.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, type Rig } from '../support/rig.ts';
import { checkProgram } from '../support/run-program.ts';

const PROGRAMS = ['gzip', 'bzip2', 'xz', 'zstd'];

/** A directory with one archive per compression, named after it. */
async function writeArchives(rig: Rig): Promise<string> {
  const [tree, served] = [join(rig.work, 'tree'), join(rig.work, 'served')];
  await mkdir(join(tree, 'folder'), { recursive: true });
  await mkdir(served);
  await writeFile(join(tree, 'Dockerfile'), 'FROM scratch\nCOPY folder /\n');
  await writeFile(join(tree, 'folder/file'), 'x'.repeat(100_000));
  await checkProgram('tar', ['-C', tree, '-cf', join(served, 'none'), '.']);
  for (const program of PROGRAMS) {
    await checkProgram('sh', ['-c', `${program} -c < none > ${program}`], { cwd: served });
  }
  return served;
}

describeWith(['root', ...PROGRAMS], 'e2e contexts that are archives', () => {
  it.each(['none', ...PROGRAMS])('%s: on standard input, behind a URL, and as a named context', async (compression) => {
    await using rig = await openRig();
    const served = await writeArchives(rig);
    await using server = await openFileServer(served);
    const build = async (...args: readonly string[]): Promise<void> => {
      const dest = join(rig.work, 'out');
      const stdin = args.includes('-') ? { stdin: await readFile(join(served, compression)) } : {};
      await rig.succeed(['build', '-o', `type=local,dest=${dest}`, ...args], stdin);
      expect(await readFile(join(dest, 'file'), 'utf8')).toHaveLength(100_000);
      await checkProgram('rm', ['-r', dest]);
    };
    await build('-');
    await build(`${server.url}/${compression}`);
    await mkdir(join(rig.work, 'context'));
    await writeFile(join(rig.work, 'context/Dockerfile'), 'FROM scratch\nCOPY --from=archive folder /\n');
    await build('--build-context', `archive=${server.url}/${compression}`, join(rig.work, 'context'));
  });

  it('a damaged archive: is refused, and nothing of it is left', async () => {
    await using rig = await openRig();
    const served = await writeArchives(rig);
    const bytes = await readFile(join(served, 'xz'));
    const { status, stderr } = await rig.run(['build', '-'], { stdin: bytes.subarray(0, bytes.byteLength - 40) });
    expect(status).toBe(1);
    expect(stderr).toContain('error ARCHIVE_INVALID: archive standard input is not valid: xz: ');
  });
});
