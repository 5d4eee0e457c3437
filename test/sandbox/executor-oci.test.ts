import { join } from 'node:path';
import { beforeAll } from 'vitest';
import { openExecutor } from '../../sandbox/open-executor.ts';
import { executorContract } from '../contracts/executor.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';

describeWith(['root', 'overlay', 'cc', 'busybox', 'runc'], 'runc', () => {
  beforeAll(buildDist);
  executorContract('runc', async (rig) => {
    const executor = await openExecutor({ runtime: 'runc', stateDir: join(rig.top, 'state') });
    return { executor, [Symbol.asyncDispose]: () => executor[Symbol.asyncDispose]() };
  });
});
