import { BuildError, invariant } from '../../src/core/error.ts';
import type { RuntimeMount } from '../../src/core/executor.ts';
import type { ExecMount, ExecOp } from '../../src/core/graph.ts';
import type { Sandbox } from '../../src/core/sandbox.ts';
import type { Secrets } from '../../src/core/source.ts';
import type { LayerStack } from '../../src/core/snapshot.ts';
import type { Tree } from '../../src/core/tree.ts';
import { announceWait, type OpContext } from '../op-handler.ts';

/** The mounts and variables of one step, held until disposed. */
export interface OpenMounts extends AsyncDisposable {
  readonly mounts: readonly RuntimeMount[];
  readonly env: readonly string[];
}

type MountPorts = Pick<Sandbox, 'snapshotter' | 'files' | 'cacheMounts'> & { readonly secrets: Secrets };

/** Opens all that `op` mounts, in its order; a secret or agent that was not given and is not required is left out. */
export async function openMounts(
  op: ExecOp,
  inputs: readonly Tree[],
  ports: MountPorts,
  context: OpContext,
): Promise<OpenMounts> {
  await using held = new AsyncDisposableStack();
  const mounts: RuntimeMount[] = [];
  for (const mount of op.mounts) {
    const opened = await openMount(mount, { inputs, ports, context, held });
    if (opened !== undefined) mounts.push(opened);
  }
  const env = [...(await secretVariables(op, ports.secrets)), ...agentVariable(mounts)];
  const owned = held.move();
  return { mounts, env, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Opening {
  readonly inputs: readonly Tree[];
  readonly ports: MountPorts;
  readonly context: OpContext;
  readonly held: AsyncDisposableStack;
}

async function openMount(mount: ExecMount, opening: Opening): Promise<RuntimeMount | undefined> {
  const { ports, held, context } = opening;
  switch (mount.type) {
    case 'bind':
      return openBind(mount, opening);
    case 'cache': {
      const tree = mount.input === undefined ? undefined : opening.inputs[mount.input];
      const { id, sharing, mode, uid, gid } = mount;
      const seed = tree === undefined ? {} : { seed: { tree, path: mount.source } };
      const wait = { signal: context.signal, waiting: announceWait(context, `uses the cache mount ${id}`) };
      const lease = held.use(await ports.cacheMounts.acquire({ id, sharing, mode, uid, gid, ...seed }, wait));
      const access = mount.writes === 'keep' ? 'read-write' : 'read-only';
      const path = tree === undefined ? mount.source : '/';
      return { type: 'bind', source: lease.path, path, destination: mount.target, access };
    }
    case 'tmpfs':
      return {
        type: 'tmpfs',
        destination: mount.target,
        mode: 0o1777,
        ...(mount.sizeBytes === undefined ? {} : { sizeBytes: mount.sizeBytes }),
      };
    case 'secret': {
      const data = await lookupSecret(mount, ports.secrets);
      if (data === undefined) return undefined;
      return { type: 'file', destination: mount.target, data, mode: mount.mode, uid: mount.uid, gid: mount.gid };
    }
    case 'ssh': {
      const source = await ports.secrets.lookupAgent(mount.id);
      if (source === undefined && mount.presence === 'required')
        throw new BuildError('SSH_NOT_FOUND', { id: mount.id });
      if (source === undefined) return undefined;
      return { type: 'socket', source, destination: mount.target, mode: mount.mode, uid: mount.uid, gid: mount.gid };
    }
    case 'file':
      return { type: 'file', destination: mount.target, data: mount.data, mode: mount.mode, uid: 0, gid: 0 };
  }
}

async function openBind(
  mount: ExecMount & { type: 'bind' },
  { inputs, ports, held, context }: Opening,
): Promise<RuntimeMount> {
  const tree = inputs[mount.input];
  invariant(tree !== undefined, `input ${mount.input} of a bind mount is solved`);
  const stack = tree.kind === 'layers' ? tree.stack : await materialize(tree, mount.source, ports, context.signal);
  const isWritable = mount.writes === 'discard';
  const snapshot = held.use(isWritable ? await ports.snapshotter.prepare(stack) : await ports.snapshotter.view(stack));
  return {
    type: 'snapshot',
    root: snapshot.root,
    path: mount.source,
    destination: mount.target,
    access: isWritable ? 'read-write' : 'read-only',
  };
}

/** A step never sees the host's files themselves: what it mounts of a build context becomes a layer first, ignore rules applied. */
async function materialize(
  tree: Tree,
  source: string,
  { files }: MountPorts,
  signal: AbortSignal,
): Promise<LayerStack> {
  const sources = [source];
  const layer = await files.run(
    {
      kind: 'file',
      base: 'scratch',
      actions: [{ type: 'copy', from: 0, sources, dest: '/', exclude: [], parents: 'keep', unpack: 'never' }],
    },
    [tree],
    { signal },
  );
  return [layer];
}

async function secretVariables(op: ExecOp, secrets: Secrets): Promise<readonly string[]> {
  const entries = await Promise.all(
    op.secretEnv.map(async ({ name, id, presence }) => {
      const value = await lookupSecret({ id, presence }, secrets);
      return value === undefined ? [] : [`${name}=${Buffer.from(value).toString()}`];
    }),
  );
  return entries.flat();
}

async function lookupSecret(
  o: { id: string; presence: 'required' | 'optional' },
  secrets: Secrets,
): Promise<Uint8Array | undefined> {
  const value = await secrets.lookup(o.id);
  if (value === undefined && o.presence === 'required') throw new BuildError('SECRET_NOT_FOUND', { id: o.id });
  return value;
}

function agentVariable(mounts: readonly RuntimeMount[]): readonly string[] {
  const agent = mounts.find((mount) => mount.type === 'socket');
  return agent === undefined ? [] : [`SSH_AUTH_SOCK=${agent.destination}`];
}
