import { isBuildError } from '../src/core/error.ts';
import { probeCapabilities, userNamespaces, type Capability } from './capabilities.ts';
import { findProgram } from './find-program.ts';
import { helperPath } from './helper-path.ts';
import { openRuntime } from './oci-runtime.ts';
import { Networks, type NetworkDriverName } from './open-networks.ts';
import { networkUsers } from './step-users.ts';
import { insideUserNamespace } from './user-namespace.ts';

/** Which way of working a build would take here, and why. */
export interface MachineChoice {
  /** Stable, for programs. */
  readonly name: 'user-namespace' | 'snapshotter' | 'cgroups' | 'network' | 'runtime' | 'sync';
  readonly choice: string;
  readonly why: string;
}

/** What a machine offers to builds. */
export interface MachineReport {
  readonly verdict: 'can-build' | 'cannot-build';
  readonly capabilities: readonly Capability[];
  /** Empty where nothing can be built. */
  readonly choices: readonly MachineChoice[];
}

/** What was asked for, as in a build. */
export interface MachineReportRequest {
  /** Takes temporary files. */
  readonly directory: string;
  readonly snapshotter?: 'auto' | 'overlay' | 'copy';
  readonly runtime?: string;
  readonly syncSteps?: 'suppress' | 'real';
  readonly networkDriver?: NetworkDriverName;
}

/** Tries out what a build would need of this machine; nothing of it is left. */
export async function reportMachine(request: MachineReportRequest): Promise<MachineReport> {
  const helper = helperCapability();
  const rootless = process.geteuid?.() === 0 ? [] : [notEntered()];
  const blocked = helper.state === 'missing' || rootless.length > 0;
  const probed = blocked ? [...rootless, ...userNamespaces().slice(1)] : await probeCapabilities(request.directory);
  const capabilities = [helper, ...probed, ...programs(), ...(await askedRuntime(request.runtime))];
  const verdict = capabilities.some(({ need, state }) => need === 'required' && state === 'missing')
    ? 'cannot-build'
    : 'can-build';
  return { verdict, capabilities, choices: verdict === 'can-build' ? await choices(request, capabilities) : [] };
}

function helperCapability(): Capability {
  const about = { name: 'helper', use: 'everything in the sandbox', need: 'required' } as const;
  try {
    return { ...about, state: 'available', detail: helperPath() };
  } catch (error) {
    if (!isBuildError(error, 'KERNEL_FEATURE_MISSING')) throw error;
    const remedy = 'apt-get install gcc libc6-dev; npm run build';
    return { ...about, state: 'missing', detail: 'tsbuild-sandbox was not built', remedy };
  }
}

/** We are not root and could not become it in a namespace of our own. */
function notEntered(): Capability {
  const [found] = userNamespaces();
  return {
    name: 'user-namespace',
    use: 'building without root',
    need: 'required',
    state: 'missing',
    detail: found?.state === 'missing' ? found.detail : 'the kernel or a security module refuses it',
    remedy: found?.remedy ?? 'run as root; in a container: start it with seccomp and AppArmor unconfined',
  };
}

const usefulPrograms = [
  { names: ['git'], use: 'contexts and ADD from git', remedy: 'apt-get install git' },
  { names: ['nft'], use: 'a bridge as network beside a firewall', remedy: 'apt-get install nftables' },
  {
    names: ['pasta', 'slirp4netns'],
    use: 'a network of their own for steps without root',
    remedy: 'apt-get install passt slirp4netns',
  },
  { names: ['runc', 'crun', 'runsc'], use: '--runtime', remedy: 'apt-get install runc' },
] as const;

function programs(): readonly Capability[] {
  return usefulPrograms.map(({ names, use, remedy }): Capability => {
    const found = names.map((name) => findProgram(name)).filter((path) => path !== undefined);
    const about = { name: names.join('|'), use, need: 'optional' } as const;
    if (found.length > 0) return { ...about, state: 'available', detail: found.join(', ') };
    return { ...about, state: 'missing', detail: 'not in PATH', remedy };
  });
}

/** The OCI runtime that was asked for. */
async function askedRuntime(name: string | undefined): Promise<readonly Capability[]> {
  if (name === undefined || name === 'native') return [];
  const about = { name: 'runtime', use: `--runtime ${name}`, need: 'required' } as const;
  try {
    return [{ ...about, state: 'available', detail: (await openRuntime(name)).path }];
  } catch (error) {
    if (!isBuildError(error, 'KERNEL_FEATURE_MISSING')) throw error;
    const { reason, remedy = '' } = error.detail;
    return [{ ...about, state: 'missing', detail: reason, remedy }];
  }
}

async function choices(
  request: MachineReportRequest,
  capabilities: readonly Capability[],
): Promise<readonly MachineChoice[]> {
  const found = new Map(capabilities.map((each) => [each.name, each]));
  const has = (name: string): boolean => found.get(name)?.state === 'available';
  const { users, ...network } = await describeNetworks(request);
  return [
    userNamespaceChoice(has('id-mapping'), users),
    snapshotterChoice(request.snapshotter ?? 'auto', has('overlay')),
    has('cgroups')
      ? { name: 'cgroups', choice: found.get('cgroups')?.detail ?? '', why: 'each step gets a group of its own' }
      : { name: 'cgroups', choice: 'none', why: 'no group may be made: no limits, no accounting' },
    { name: 'network', ...network },
    request.runtime === undefined || request.runtime === 'native'
      ? { name: 'runtime', choice: 'native', why: 'our own helper' }
      : { name: 'runtime', choice: request.runtime, why: 'as asked for' },
    request.syncSteps === 'real'
      ? { name: 'sync', choice: 'real', why: 'as asked for' }
      : {
          name: 'sync',
          choice: 'suppressed',
          why: 'fsync in a step waits for nothing: its layer is synced as a whole',
        },
  ];
}

/** Tried by making one, as the first step of a build does. */
async function describeNetworks({ runtime, networkDriver }: MachineReportRequest): ReturnType<Networks['describe']> {
  const driver = networkDriver ?? 'auto';
  const users = networkUsers(runtime);
  await using networks = new Networks({ driver, helper: helperPath(), users, notes: () => undefined });
  return await networks.describe();
}

function userNamespaceChoice(mapped: boolean, ofSteps: Pick<MachineChoice, 'choice' | 'why'>): MachineChoice {
  const name = 'user-namespace';
  if (!insideUserNamespace()) return { name, ...ofSteps };
  return mapped
    ? { name, choice: 'mapped', why: 'a range of ids stands for the users of steps' }
    : { name, choice: 'single-id', why: 'no range of ids: root is the only user of steps' };
}

function snapshotterChoice(asked: 'auto' | 'overlay' | 'copy', overlay: boolean): MachineChoice {
  const name = 'snapshotter';
  if (asked !== 'auto') return { name, choice: asked, why: 'as asked for' };
  return overlay
    ? { name, choice: 'overlay', why: 'overlayfs works on this store' }
    : { name, choice: 'copy', why: 'overlayfs does not work on this store: trees are copied, which is slow' };
}
