import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { describeWith } from '../support/requires.ts';
import { openRig } from '../support/rig.ts';

/** More than overlayfs takes in the options of mount(2), and more than most builders allow. */
const LAYERS = 150;
/** As many builds one after the other, on a machine that does other things too. */
const TIMEOUT_MS = 300_000;
const LONG_NAME = 'long'.repeat(25);

describeWith(['root', 'skopeo', 'docker-registry', 'busybox'], 'e2e deep stacks', () => {
  let registry: BusyboxRegistry;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  it.each(['overlay', 'copy'])(
    `${LAYERS} layers in a store with a long path: a step sees all of them, with %s`,
    async (snapshotter) => {
      await using rig = await openRig();
      const context = join(rig.work, 'context');
      await mkdir(context);
      for (let i = 0; i < LAYERS; i++) await writeFile(join(context, `f${i}`), `${i}\n`);
      const copies = Array.from({ length: LAYERS }, (_, i) => `COPY f${i} /deep/f${i}\n`);
      const sum = 'RUN cat /deep/* | awk \'{ s += $1 } END { print "sum", s }\' && rm /deep/f0 && touch /deep/last\n';
      const look = 'RUN ls /deep | wc -l && [ ! -e /deep/f0 ] && echo whole\n';
      await writeFile(join(context, 'Dockerfile'), `FROM busybox\n${copies.join('')}${sum}${look}`);
      const store = join(rig.work, LONG_NAME, LONG_NAME, 'store');
      await mkdir(store, { recursive: true });
      const args = [
        '--store',
        store,
        '--snapshotter',
        snapshotter,
        ...registry.flags,
        '--progress=plain',
        '-t',
        'deep',
      ];
      const { stderr } = await rig.succeed(['build', ...args, context]);
      expect(stderr).toContain(` sum ${(LAYERS * (LAYERS - 1)) / 2}\n`);
      expect(stderr).toContain(` ${LAYERS}\n`);
      expect(stderr).toMatch(/ whole$/m);
      expect((await rig.succeed(['--store', store, 'verify-store'])).stdout).toBe('the store is whole\n');
    },
    TIMEOUT_MS,
  );
});
