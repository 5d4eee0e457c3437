import type { BuildRequest, StoreOptions } from '../build-request.ts';
import { BuildError } from '../core/error.ts';
import type { Dockerfile } from '../../frontend/ast.ts';
import { outline as outlineOf, targets as targetsOf } from '../../frontend/outline.ts';
import { openInputs, parseInputs, type BuildInputs } from './inputs.ts';
import { platformsOf, toLowerRequest, type PlanPorts } from './plan.ts';
import type { OutlineResult, TargetsResult } from '../store-handle.ts';
import { openWorkers } from './workers.ts';

/** The build args, secrets and agents that the target can be given, and its cache mounts. @throws DOCKERFILE_INVALID, STAGE_NOT_FOUND */
export function outline(request: BuildRequest, store: StoreOptions): Promise<OutlineResult> {
  return withDockerfile(request, store, (dockerfile, ports) => {
    const [platform] = platformsOf(request);
    const found = platform === undefined ? undefined : outlineOf(dockerfile, toLowerRequest(request, platform, ports));
    if (found === undefined) throw new BuildError('STAGE_NOT_FOUND', { stage: request.target ?? '', known: [] });
    const { target, args, secrets, ssh, caches } = found;
    const { name, description } = target;
    return {
      ...(name === undefined ? {} : { name }),
      ...(description === undefined ? {} : { description }),
      args: args.map(({ range: location, ...arg }) => ({ ...arg, location })),
      secrets: secrets.map(({ id, presence, range: location }) => ({
        name: id,
        required: presence === 'required',
        location,
      })),
      ssh: ssh.map(({ id, presence, range: location }) => ({ name: id, required: presence === 'required', location })),
      cache: caches.map(({ range: location, ...cache }) => ({ ...cache, location })),
    };
  });
}

/** The stages that can be built. @throws DOCKERFILE_INVALID */
export function targets(request: BuildRequest, store: StoreOptions): Promise<TargetsResult> {
  return withDockerfile(request, store, (dockerfile) => ({
    targets: targetsOf(dockerfile).map(({ range: location, default: isDefault, ...target }) => ({
      ...target,
      default: isDefault === 'yes',
      location,
    })),
  }));
}

async function withDockerfile<T>(
  request: BuildRequest,
  store: StoreOptions,
  look: (dockerfile: Dockerfile, ports: Pick<PlanPorts, 'inputs'>) => T,
): Promise<T> {
  const emit = request.progress ?? (() => undefined);
  const signal = request.signal ?? new AbortController().signal;
  await using workers = await openWorkers(store);
  await using inputs: BuildInputs = await openInputs(request, { workers, emit, signal });
  return look(parseInputs(inputs, request), { inputs });
}
