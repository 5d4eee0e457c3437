import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { tarOf } from '../contracts/layer-codec.ts';
import { contextOf } from '../contracts/file-backend.ts';
import { runScriptAs } from '../support/person.ts';
import { describeWith } from '../support/requires.ts';
import { openSandboxRig } from '../support/sandbox-rig.ts';
import { openTemp, type TemporaryDirectory } from '../support/temp.ts';

const scriptPath = (name: string): string => new URL(`fixtures/${name}.ts`, import.meta.url).pathname;

/** Layers that try to reach the canary, `$C`. The layer below has links to it: `below`, `d/below`. */
const layers = (canary: string): Readonly<Record<string, Buffer>> => ({
  'absolute path': tarOf({ path: `${canary}/made`, content: 'evil' }),
  'device of a disk': tarOf({ path: 'disk', type: 'block-device', deviceMajor: 8, deviceMinor: 0 }),
  'directory over a link': tarOf(
    { path: 'l', link: canary },
    { path: 'l/', mode: 0o777 },
    { path: 'l/made', content: 'evil' },
  ),
  'directory over a link below': tarOf({ path: 'below/', mode: 0o777 }, { path: 'below/made', content: 'evil' }),
  'file over a link': tarOf({ path: 's', link: `${canary}/secret` }, { path: 's', content: 'evil' }),
  'hard link through a link': tarOf({ path: 'l', link: canary }, { path: 'h', type: 'hardlink', link: 'l/secret' }),
  'hard link through a link below': tarOf({ path: 'h', type: 'hardlink', link: 'below/secret' }),
  'hard link to a link': tarOf(
    { path: 's', link: `${canary}/secret` },
    { path: 'h', type: 'hardlink', link: 's' },
    { path: 'h', content: 'evil' },
  ),
  'links in a circle': tarOf({ path: 'a', link: 'b' }, { path: 'b', link: 'a' }, { path: 'a/f', content: 'evil' }),
  'names for terminals': tarOf({ path: '\u001b[2J\u001b]0;t\u0007/../x', content: 'evil' }),
  'nobody as owner': tarOf({ path: 'f', uid: 0xffffffff, gid: 0xffffffff, content: 'evil' }),
  'opaque through a link': tarOf({ path: 'l', link: canary }, { path: 'l/.wh..wh..opq' }),
  'parents up and down': tarOf({ path: `a/../../../../../../../..${canary}/made`, content: 'evil' }),
  setuid: tarOf({ path: 'su', mode: 0o6755, content: 'evil' }),
  'very deep': tarOf({ path: `${'d/'.repeat(1900)}f`, content: 'evil' }),
  'whiteout of a link below': tarOf({ path: '.wh.below' }, { path: 'd/.wh.below' }),
  'whiteout of the parent': tarOf({ path: 'd/.wh...' }),
  'whiteout through a link': tarOf({ path: 'l', link: canary }, { path: 'l/.wh.secret' }, { path: 'below/.wh.secret' }),
  'zeros without end': tarOf({ path: 'f', content: 'evil' }).fill(0, 1024),
});

describeWith(['root', 'overlay', 'setpriv', 'newuidmap'], 'hostile trees', () => {
  describe.each(['root', 'user'] as const)('%s', (person) => {
    it('layers that reach for the host find nothing there (node-tar CVE-2026-23745, CVE-2026-42574)', async () => {
      using temp = openTemp();
      const { directory, canary, tars } = placeLayers(temp);
      const { stdout, stderr } = await runScriptAs(person, { script: scriptPath('apply-layers'), directory });
      expect(stderr).toBe('');
      const outcomes = JSON.parse(stdout) as Readonly<Record<string, string>>;
      expect(Object.keys(outcomes)).toEqual(
        Object.keys(tars)
          .map((name) => `${name}.tar`)
          .toSorted(),
      );
      for (const [name, outcome] of Object.entries(outcomes))
        expect(outcome, name).toMatch(/^(unpacked$|LAYER_INVALID: |PATH_INVALID: |ID_NOT_MAPPED: )/);
      expect(readdirSync(canary)).toEqual(['secret']);
      expect(readFileSync(`${canary}/secret`, 'utf8')).toBe('host secret');
      expect(statSync(canary).mode & 0o777).toBe(0o707);
      // What is setuid there is out of reach of the host's users (CVE-2021-41091).
      expect(statSync(`${directory}/state`).mode & 0o077).toBe(0);
    });

    it('a context whose files and directories turn into links to the host and back gives nothing of the host', async () => {
      using temp = openTemp();
      chmodSync(temp.path, 0o755);
      const directory = temp.at('race');
      mkdirSync(directory);
      const { stdout, stderr } = await runScriptAs(person, { script: scriptPath('race-context'), directory });
      expect(stderr).toBe('');
      const { copied, secrets, refused } = JSON.parse(stdout) as Record<'copied' | 'secrets', number> & {
        refused: readonly string[];
      };
      expect(secrets).toBe(0);
      expect(['CONTEXT_CHANGED', 'SOURCE_NOT_FOUND', 'COPY_INVALID']).toEqual(expect.arrayContaining([...refused]));
      // Where this fails the race was never lost, or never won.
      expect(copied).toBeGreaterThan(0);
    });
  });

  it('a context that is thousands of directories deep is refused, not recursed into for ever', async () => {
    using temp = openTemp();
    await using rig = await openSandboxRig('overlay');
    const context = contextOf(temp, {});
    mkdirSync(`${context.root}/${'d/'.repeat(1500)}`, { recursive: true });
    const digest = rig.sandbox.files.contentDigest(context, { paths: ['/'], exclude: [], parents: 'drop' });
    await expect(digest).rejects.toMatchObject({ code: 'PATH_INVALID' });
  });
});

/** A canary that anybody may change, and layers that want to. */
function placeLayers(temp: TemporaryDirectory): {
  readonly directory: string;
  readonly canary: string;
  readonly tars: Readonly<Record<string, Buffer>>;
} {
  const [directory, canary] = [temp.at('work'), temp.at('canary')];
  chmodSync(temp.path, 0o755);
  for (const path of [directory, canary, `${directory}/layers`]) mkdirSync(path);
  writeFileSync(`${canary}/secret`, 'host secret');
  chmodSync(canary, 0o707);
  chmodSync(`${canary}/secret`, 0o666);
  const tars = layers(canary);
  const base = tarOf(
    { path: 'below', link: canary },
    { path: 'd/' },
    { path: 'd/below', link: `../../../..${canary}` },
  );
  writeFileSync(`${directory}/base.tar`, base);
  for (const [name, tar] of Object.entries(tars)) writeFileSync(`${directory}/layers/${name}.tar`, tar);
  return { directory, canary, tars };
}
