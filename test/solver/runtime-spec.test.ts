import { describe, expect, test } from 'vitest';
import { toRuntimeSpec, type StepSurroundings } from '../../solver/runtime-spec.ts';
import { execOp } from './exec-op.ts';

const around: StepSurroundings = {
  root: { type: 'bind', source: '/tree', access: 'read-write' },
  user: { uid: 1000, gid: 1000, additionalGids: [1000], home: '/home/app' },
  mounts: [],
  env: ['TOKEN=t'],
  devices: { names: [], mounts: [], env: [], gids: [] },
};

describe('runtime spec', () => {
  test('a step sees its variables, proxies and secrets, and its home', () => {
    const spec = toRuntimeSpec(execOp({ proxyEnv: ['http_proxy=p'] }), around);
    expect(spec.process.env).toEqual(['PATH=/usr/bin', 'A=1', 'http_proxy=p', 'TOKEN=t', 'HOME=/home/app']);
  });

  test('HOME of the image stays', () => {
    expect(toRuntimeSpec(execOp({ env: ['HOME=/elsewhere'] }), around).process.env).toEqual([
      'HOME=/elsewhere',
      'TOKEN=t',
    ]);
  });

  test('devices bring mounts, groups and variables, which take the place of the image’s', () => {
    const node = { type: 'tmpfs', destination: '/dev/x', mode: 0o755 } as const;
    const devices = { names: ['v/c=x'], mounts: [node], env: ['A=2', 'B=3'], gids: [44, 1000] };
    const { process, mounts } = toRuntimeSpec(execOp(), { ...around, devices });
    expect(process.env).toEqual(['PATH=/usr/bin', 'A=2', 'B=3', 'TOKEN=t', 'HOME=/home/app']);
    expect(process.user.additionalGids).toEqual([1000, 44]);
    expect(mounts).toEqual([node]);
  });

  test('a sandboxed step has the capabilities of Docker, an insecure one all', () => {
    const sandboxed = toRuntimeSpec(execOp(), around);
    expect(sandboxed.process.capabilities).toHaveLength(14);
    expect(sandboxed.confinement).toBe('default');
    const insecure = toRuntimeSpec(execOp({ security: 'insecure' }), around);
    expect(insecure).toMatchObject({ confinement: 'unconfined', process: { capabilities: 'all' } });
  });

  test('limits of processes carry the names of the runtime-spec', () => {
    const spec = toRuntimeSpec(execOp({ ulimits: [{ name: 'nofile', soft: 10, hard: 20 }] }), around);
    expect(spec.process.rlimits).toEqual([{ type: 'RLIMIT_NOFILE', soft: 10, hard: 20 }]);
  });

  test('shared memory is 64 MiB unless asked otherwise', () => {
    expect(toRuntimeSpec(execOp(), around).shmSizeBytes).toBe(67_108_864);
    expect(toRuntimeSpec(execOp({ shmSizeBytes: 5 }), around).shmSizeBytes).toBe(5);
  });
});
