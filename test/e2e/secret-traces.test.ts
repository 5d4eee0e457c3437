import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { describeWith } from '../support/requires.ts';
import { openRig } from '../support/rig.ts';
import { runProgram } from '../support/run-program.ts';

const DOCKERFILE = `FROM busybox
RUN --mount=type=secret,id=file --mount=type=secret,id=variable,env=TOKEN \\
    cat /run/secrets/file; echo "token $TOKEN"; base64 -w 0 /run/secrets/file; echo; echo done > /done
`;

describeWith(['root', 'skopeo', 'docker-registry', 'busybox'], 'e2e secret traces', () => {
  let registry: BusyboxRegistry;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  it.each(['plain', 'rawjson'])('secrets: are in no file of the store and in no output, as %s', async (progress) => {
    await using rig = await openRig();
    const [inFile, inVariable] = [randomBytes(24).toString('hex'), randomBytes(24).toString('hex')];
    const context = join(rig.work, 'context');
    await mkdir(context);
    await writeFile(join(context, 'Dockerfile'), DOCKERFILE);
    await writeFile(join(rig.work, 'secret'), inFile);
    const secrets = ['--secret', `id=file,src=${join(rig.work, 'secret')}`, '--secret', 'id=variable,env=TSB_SENTINEL'];
    const args = ['build', ...registry.flags, `--progress=${progress}`, '--explain', ...secrets, '-t', 'app', context];
    const built = await rig.succeed(args, { env: { TSB_SENTINEL: inVariable } });
    const history = await rig.succeed(['history', '--no-trunc', 'app']);
    const records = await rig.succeed(['du', '--verbose']);
    const texts = [inFile, inVariable].flatMap((text) => [
      text,
      Buffer.from(text).toString('base64').replace(/=*$/, ''),
    ]);
    const printed = [built, history, records].flatMap(({ stdout, stderr }) => [stdout, decoded(stderr)]).join('\n');
    expect(printed).toContain('token ***');
    for (const text of texts) {
      expect(printed.includes(text), 'in what was printed').toBe(false);
      const { status, stdout } = await runProgram('grep', ['-rlaF', '--', text, rig.store]);
      expect([status, stdout]).toEqual([1, '']);
    }
  });
});

/** What was printed, with the output of steps that rawjson has in base64. */
function decoded(printed: string): string {
  const logs = [...printed.matchAll(/"data":"([^"]*)"/g)].map(([, data = '']) =>
    Buffer.from(data, 'base64').toString(),
  );
  return [printed, ...logs].join('\n');
}
