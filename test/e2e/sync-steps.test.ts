import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { describeWith } from '../support/requires.ts';
import { openRig } from '../support/rig.ts';
import { checkProgram } from '../support/run-program.ts';
import { type TemporaryDirectory, openTemp } from '../support/temp.ts';

const probe = join(import.meta.dirname, '../sandbox/fixtures/probe.c');

describeWith(['root', 'cc', 'setpriv', 'newuidmap'], 'e2e sync steps', () => {
  let context: TemporaryDirectory;
  beforeAll(async () => {
    context = openTemp();
    await checkProgram('cc', ['-O1', '-static', '-o', context.at('probe'), probe]);
    // The kernel finds fault with this call, so success shows that it was not asked.
    await writeFile(context.at('Dockerfile'), 'FROM scratch\nCOPY probe /\nRUN ["/probe", "fsync-bad-descriptor"]\n');
    await checkProgram('chmod', ['-R', 'a+rX', context.path]);
    return () => context[Symbol.dispose]();
  });

  it.each([
    ['root', [], 'ok'],
    ['root', ['--sync-steps'], 'errno 9'],
    ['user', [], 'ok'],
    ['user', ['--sync-steps'], 'errno 9'],
  ] as const)('fsync inside a step of %s, %j: %s', async (person, flags, answer) => {
    await using rig = await openRig({ person });
    const output = ['--progress=plain', '-o', 'type=cacheonly'];
    const { stderr } = await rig.succeed(['build', ...flags, ...output, context.path]);
    expect(stderr).toContain(` fsync-bad-descriptor: ${answer}\n`);
  });
});
