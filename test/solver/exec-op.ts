import type { ExecOp } from '../../src/core/graph.ts';

/** A plain RUN; tests say what differs. */
export function execOp(changes: Partial<ExecOp> = {}): ExecOp {
  return {
    kind: 'exec',
    root: 'scratch',
    args: ['/bin/sh', '-c', 'make'],
    env: ['PATH=/usr/bin', 'A=1'],
    cwd: '/',
    user: '',
    hostname: 'buildkitsandbox',
    network: 'default',
    security: 'sandbox',
    mounts: [],
    secretEnv: [],
    devices: [],
    proxyEnv: [],
    extraHosts: [],
    ulimits: [],
    resources: {},
    platform: { os: 'linux', architecture: 'amd64' },
    ...changes,
  };
}
