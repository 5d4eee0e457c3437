import { canonicalJson } from '../../src/oci/canonical-json.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { BuildError, invariant } from '../../src/core/error.ts';
import type { ExitStatus, Executor } from '../../src/core/executor.ts';
import type { ExecMount, ExecOp } from '../../src/core/graph.ts';
import type { Sandbox } from '../../src/core/sandbox.ts';
import type { Secrets } from '../../src/core/source.ts';
import type { LayerStack } from '../../src/core/snapshot.ts';
import type { Tree } from '../../src/core/tree.ts';
import type { KeyField } from '../cache-key.ts';
import type { CacheMap, InputUse, OpContext, OpHandler } from '../op-handler.ts';
import { toRuntimeSpec } from '../runtime-spec.ts';
import { maskSecrets } from '../secret-mask.ts';
import { checkEntitlements } from './entitlements.ts';
import { openMounts } from './exec-mounts.ts';

/** What running a program needs. */
export interface ExecPorts extends Pick<Sandbox, 'snapshotter' | 'files' | 'cacheMounts' | 'devices'> {
  readonly executor: Executor;
  readonly secrets: Secrets;
  /** Entitlements that the user granted: `network.host`, `security.insecure`, `device`, `device=NAME`. */
  readonly allowed: ReadonlySet<string>;
}

/** RUN: the tree it runs on counts by identity, what is mounted read-only by content. */
export function execHandler(ports: ExecPorts): OpHandler<ExecOp> {
  return {
    cacheMap: execCacheMap,
    async run(op, inputs, context) {
      const devices = await ports.devices.find(op.devices);
      checkEntitlements(op, devices.names, ports.allowed);
      ports.executor.expect({ network: op.network, process: { env: [...op.env, ...op.proxyEnv] } });
      const lower = lowerOf(op, inputs);
      await using active = await ports.snapshotter.prepare(lower);
      const user = await ports.files.resolveUser(lower, op.user);
      await using mounts = await openMounts(op, inputs, ports, context);
      const spec = toRuntimeSpec(op, { root: active.root, user, mounts: mounts.mounts, env: mounts.env, devices });
      const output = maskSecrets(ports.secrets.values(), (stream, chunk) => {
        context.emit({ type: 'output', step: context.vertex.id, stream, chunk, timeMs: Date.now() });
      });
      const status = await ports.executor
        .run(spec, { output: output.write, signal: context.signal })
        .finally(output.flush);
      throwUnlessSucceeded(op, status);
      const layer = await active.commit();
      return { tree: { kind: 'layers', stack: [...lower, layer] }, usage: status.usage };
    },
  };
}

/** What identifies a RUN, and how its inputs count. */
export function execCacheMap(op: ExecOp, context: Pick<OpContext, 'inputs'>): CacheMap {
  return {
    fields: fieldsOf(op),
    inputs: context.inputs.map((_, index) => useOf(op, index, context)),
    records: 'keep',
  };
}

function lowerOf(op: ExecOp, inputs: readonly Tree[]): LayerStack {
  if (op.root === 'scratch') return [];
  const [base] = inputs;
  invariant(base?.kind === 'layers', 'a program runs on a tree of layers');
  return base.stack;
}

/** All that a step can see, but for secrets, proxies, limits, addresses of extra hosts and the content of cache mounts (dockerfile.md 1.9). */
function fieldsOf(op: ExecOp): readonly KeyField[] {
  return [
    ['op', 'exec'],
    ['args', canonicalJson(op.args)],
    ...op.env.map((entry, index): KeyField => [
      `env ${index} ${entry.slice(0, entry.indexOf('='))}`,
      entry.slice(entry.indexOf('=') + 1),
    ]),
    ['cwd', op.cwd],
    ['user', op.user],
    ['hostname', op.hostname],
    ['network', op.network],
    ['security', op.security],
    ...op.mounts.map((mount, index): KeyField => [`mount ${index}`, canonicalJson(keyedPart(mount))]),
    ['secret env', canonicalJson(op.secretEnv)],
    ['devices', canonicalJson(op.devices)],
    ['extra hosts', canonicalJson(op.extraHosts.map(({ host }) => host))],
    ['ulimits', canonicalJson(op.ulimits)],
    ['shm size', String(op.shmSizeBytes ?? '')],
    ['cgroup parent', op.cgroupParent ?? ''],
    ['platform', canonicalJson(op.platform)],
  ];
}

function keyedPart(mount: ExecMount): unknown {
  switch (mount.type) {
    case 'bind':
    case 'tmpfs':
    case 'secret':
    case 'ssh':
      return mount;
    case 'cache':
      return { type: mount.type, target: mount.target, writes: mount.writes };
    case 'file':
      return { ...mount, data: digestOf(mount.data) };
  }
}

/** A whole image is known well enough by its layers; a part of a tree, and a build context, by content. */
function useOf(op: ExecOp, input: number, { inputs }: Pick<OpContext, 'inputs'>): InputUse {
  if (op.root === 'input' && input === 0) return { by: 'identity' };
  const source = inputs[input]?.op;
  const isLocal = source?.kind === 'source' && source.source.type !== 'image';
  const binds = op.mounts.filter((mount) => mount.type === 'bind' && mount.input === input);
  const paths = binds.map((mount) => (mount.type === 'bind' ? mount.source : '/'));
  if (isLocal && paths.length === 0) return { by: 'content', selections: [] };
  if (!isLocal && (paths.length === 0 || paths.includes('/'))) return { by: 'identity' };
  return { by: 'content', selections: [{ paths, exclude: [], parents: 'drop' }] };
}

function throwUnlessSucceeded(op: ExecOp, status: ExitStatus): void {
  const command = op.args.join(' ');
  switch (status.kind) {
    case 'exited':
      if (status.code !== 0)
        throw new BuildError('EXEC_FAILED', { command, exitCode: status.code, ...reasonOf(status.code) });
      return;
    case 'signaled':
      throw new BuildError('EXEC_FAILED', { command, signal: status.signal });
    case 'out-of-memory':
      throw new BuildError('OUT_OF_MEMORY', { command, limitBytes: status.limitBytes, peakBytes: status.peakBytes });
  }
}

/** What a shell means by the two exit codes that people ask about most. */
function reasonOf(code: number): { reason: string } | Record<string, never> {
  if (code === 127)
    return { reason: 'exit code 127: the shell did not find the command; is it installed, and in PATH?' };
  if (code === 126)
    return {
      reason:
        'exit code 126: the command was found but cannot be executed; is it a program for this platform, with mode +x?',
    };
  return {};
}
