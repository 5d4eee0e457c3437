import { readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import type { RuntimeMount, RuntimeSpec } from '../../src/core/executor.ts';
import { openExecutor } from '../../sandbox/open-executor.ts';
import { executorContract } from '../contracts/executor.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { addFile, addProgram, describePath, openStepRig, type StepResult, type StepRig } from '../support/step-rig.ts';

const unnamed = 'its /proc does not tell';
const noDevices = 'it has no devices of the host';
const noNodes = 'it makes no nodes in the layer';

/** What programs cannot have on the kernel that gVisor is, as of Debian 12's release (December 2022). */
const lacks = {
  'process: another umask than 022': 'it knows no other, and no build asks for another',
  'signals: none is ignored or blocked': unnamed,
  'core dumps: none is written, whatever the host allows, unless the step asks for it': 'it writes none at all',
  'capabilities: none is ambient, and programs may gain some': unnamed,
  '/dev: holds the harmless devices and nothing else': 'its own has no mqueue, but fuse and net/tun',
  'seccomp: refuses what Docker refuses': 'the calls are those of its own kernel, which answers them',
  'seccomp: allows to ask for the personality': 'it has none',
  'layer: sudo works, that is, a set-uid program is not held back': 'it does not heed set-uid bits',
  'device: opens where it was given, under its name, owner and mode': noDevices,
  'device: no other step opens it, nor this one more than was given': noDevices,
  'device: nothing of it is in the layer, and the host’s node stays as it is': noDevices,
  'a tmpfs at /dev: has the size that it asks for, and the step’s devices': 'its own has no size, but has the devices',
  'network: host: raw sockets, and ports below 1024': 'it passes on no raw sockets to the host’s network',
  'layer: file capabilities are for any root, not for that of a user namespace, and hold in the step': 'it stores none',
  'device nodes: lie where the step wants them, with mode, owner and device': noNodes,
  'device nodes: are refused as the kernel refuses': noNodes,
  'device nodes: signals do not make the call twice': noNodes,
  'device nodes: 32-bit programs make them': 'it runs no 32-bit programs',
  'pids: no more processes than the limit': 'its own threads are counted too',
  'pids: are limited where nothing says how many': 'it does not show cgroups',
};

describeWith(['root', 'overlay', 'cc', 'busybox', 'runsc'], 'runsc', () => {
  beforeAll(buildDist);
  executorContract(
    'runsc',
    async (rig) => {
      const executor = await openExecutor({ runtime: 'runsc', stateDir: join(rig.top, 'state') });
      return { executor, [Symbol.asyncDispose]: () => executor[Symbol.asyncDispose]() };
    },
    lacks,
  );

  it('the kernel is its own', async () => {
    const { stdout } = await run(sh('cat /proc/version'));
    expect(stdout).not.toBe(await readFile('/proc/version', 'utf8'));
    expect(stdout).toContain('Linux version');
  });
  it('/tmp belongs to the layer, whether it is empty, full or missing', async () => {
    const made = sh('mkdir -p /tmp && touch /tmp/made');
    const file = expect.stringMatching(/^file/) as string;
    expect((await run(made)).tmp).toEqual(file);
    expect((await run(made, (rig) => addFile(rig, 'tmp/full', ''))).tmp).toEqual(file);
    expect((await run(made, (rig) => rmdir(join(rig.lower, 'tmp')))).tmp).toEqual(file);
    expect((await run(sh('mkdir /tmp'), (rig) => rmdir(join(rig.lower, 'tmp')))).status).toMatchObject({ code: 0 });
  });
  it('fsync is real, and calls that it does not have are told from those that are refused', async () => {
    const script = 'sync /data && probe clone3 fsync-bad-descriptor';
    expect((await run(sh(script), (rig) => addProgram(rig, 'probe'))).stdout).toBe(
      'clone3: errno 38\nfsync-bad-descriptor: errno 9\n',
    );
  });
  it('a device of the host is refused by name', async () => {
    const device = { type: 'device', source: '/dev/null', destination: '/dev/gadget', kind: 'character' } as const;
    const access = { read: true, write: true, mknod: false };
    const mounts: RuntimeMount[] = [{ ...device, major: 1, minor: 3, access, mode: 0o666, uid: 0, gid: 0 }];
    await expect(run(sh('true', { mounts }))).rejects.toMatchObject({
      code: 'SANDBOX_FAILED',
      detail: { step: 'mount /dev/gadget', reason: 'gVisor (runsc) gives no device of the host to a step' },
    });
  });
  it('a limit of memory that it does not fit into itself is named', async () => {
    const limitBytes = 8 << 20;
    const { status } = await run(sh('true', { resources: { memoryBytes: limitBytes } }));
    expect(status).toMatchObject({ kind: 'out-of-memory', limitBytes });
  });
  it.each([5, 40])('a limit of %i processes, at which it dies, is named', async (pids) => {
    const script = `${'sleep 60 & '.repeat(50)} true`;
    await expect(run(sh(script, { resources: { pids } }))).rejects.toMatchObject({
      code: 'SANDBOX_FAILED',
      detail: { reason: `it ended at the limit of processes (${pids}), which its own threads are counted among` },
    });
  });
});

/** Runs a step; `prepare` changes its root before. */
async function run(
  spec: (rig: StepRig) => RuntimeSpec,
  prepare: (rig: StepRig) => Promise<unknown> = async () => undefined,
): Promise<StepResult & { readonly tmp: string }> {
  await using rig = await openStepRig();
  await prepare(rig);
  await using executor = await openExecutor({ runtime: 'runsc', stateDir: join(rig.top, 'state') });
  const result = await rig.run(executor, spec(rig));
  return { ...result, tmp: await describePath(join(rig.upper, 'tmp/made')) };
}

function sh(script: string, change: Partial<Omit<RuntimeSpec, 'process'>> = {}): (rig: StepRig) => RuntimeSpec {
  return (rig) => rig.spec(['/bin/sh', '-c', script], change);
}
