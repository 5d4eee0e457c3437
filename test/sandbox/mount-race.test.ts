import { chmod, mkdir } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildDist } from '../support/build-dist.ts';
import { runScriptAs, type Person } from '../support/person.ts';
import { describeWith } from '../support/requires.ts';
import { openTemp } from '../support/temp.ts';

const script = new URL('fixtures/race-mounts.ts', import.meta.url).pathname;
const rounds = 60;

interface Outcome {
  readonly seen: readonly string[];
  readonly failures: number;
  readonly canary: readonly string[];
}

async function race(person: Person, kind: 'source' | 'target'): Promise<Outcome> {
  using temp = openTemp();
  const directory = temp.at('race');
  await mkdir(directory);
  await chmod(temp.path, 0o755);
  const { stdout, stderr } = await runScriptAs(person, { script, directory, args: [kind, String(rounds)] });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Outcome;
}

describeWith(
  ['root', 'overlay', 'busybox', 'setpriv', 'newuidmap'],
  'mounts while another process exchanges directories for links',
  () => {
    beforeAll(buildDist);
    describe.each(['root', 'user'] as const)('%s', (person) => {
      it('source: never shows the host (CVE-2024-23651)', async () => {
        const { seen, canary } = await race(person, 'source');
        expect(seen).toEqual(['']);
        expect(canary).toEqual(['inner', 'inner/secret']);
      });
      it('target and stubs: never touch the host (CVE-2021-30465, CVE-2024-23652)', async () => {
        const { canary, failures } = await race(person, 'target');
        expect(canary).toEqual(['inner', 'inner/secret']);
        expect(failures).toBeLessThan(rounds);
      });
    });
  },
);
