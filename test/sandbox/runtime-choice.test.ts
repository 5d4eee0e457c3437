import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openExecutor } from '../../sandbox/open-executor.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { openStepRig } from '../support/step-rig.ts';
import { openTemp } from '../support/temp.ts';

describe('an OCI runtime that is not there', () => {
  beforeAll(buildDist);
  it.each([
    ['tsbuild-no-such-runtime', 'it is not in PATH'],
    ['/nowhere/runc', 'it is no program'],
    ['/usr', 'it is no program'],
    ['/etc/passwd', 'it is no program'],
  ])('%s: %s', async (runtime, reason) => {
    using temp = openTemp();
    await expect(openExecutor({ runtime, stateDir: temp.at('state') })).rejects.toMatchObject({
      code: 'KERNEL_FEATURE_MISSING',
      detail: { feature: `the OCI runtime ${runtime}`, reason },
    });
  });
  it('a script without an interpreter is named', async () => {
    using temp = openTemp();
    const runtime = temp.at('runtime');
    await writeFile(runtime, '#!/nowhere/sh\n', { mode: 0o755 });
    await expect(openExecutor({ runtime, stateDir: temp.at('state') })).rejects.toMatchObject({
      code: 'KERNEL_FEATURE_MISSING',
    });
  });
});

describeWith(['root', 'overlay', 'busybox'], 'an OCI runtime that fails', () => {
  beforeAll(buildDist);
  it.each([
    ['says why', 'echo "no luck" >&2; exit 7', 'no container was started (exit code 7): no luck'],
    ['says nothing', 'exit 1', 'no container was started (exit code 1)'],
    ['succeeds without doing anything', 'exit 0', 'no container was started (exit code 0)'],
  ])('one that %s is no step that failed', async (_, script, reason) => {
    await using rig = await openStepRig();
    const runtime = join(rig.top, 'bin/runtime');
    await mkdir(join(rig.top, 'bin'));
    await writeFile(runtime, `#!/bin/sh\ncase "$*" in *--help*) exit 3;; esac\n${script}\n`);
    await chmod(runtime, 0o755);
    await using executor = await openExecutor({ runtime, stateDir: join(rig.top, 'state') });
    await expect(rig.sh(executor, 'true')).rejects.toMatchObject({
      code: 'SANDBOX_FAILED',
      detail: { step: 'the OCI runtime', reason },
    });
  });
});
