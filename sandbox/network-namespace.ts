import { getSystemErrorMap } from 'node:util';
import type { HelperCommand } from './helper-program.ts';
import type { HelperFailure } from './helper-record.ts';
import { HelperProcess } from './helper-process.ts';
import { lookupText } from './lookup-text.ts';
import type { NetworkPlan } from './network.ts';

/** What a kept network namespace is made of, and how steps see it. */
export interface NetworkMaking {
  readonly helper: string;
  /** Whether it is to have a user namespace of its own. */
  readonly users: NetworkPlan['users'];
  /** Run by its keeper, which starts in the host's network and ends in the new one. */
  readonly commands: readonly HelperCommand[];
  readonly plan: Pick<NetworkPlan, 'hostAddress' | 'nameServer'>;
  /** Called when nothing of it is left, or nothing came of it. */
  readonly release?: () => void;
}

/** A network namespace for one step after another. A helper keeps it: the kernel removes it when that is gone. */
export class NetworkNamespace implements AsyncDisposable {
  readonly plan: NetworkPlan;
  /** Why it has no user namespace although it was to have one. */
  readonly usersRefused: string | undefined;
  readonly #keeper: HelperProcess;
  readonly #directory: string;

  private constructor(keeper: HelperProcess, { plan, users }: NetworkMaking, usersRefused: string) {
    this.#keeper = keeper;
    this.#directory = `/proc/${keeper.pid}`;
    const join: HelperCommand = ['network-join', `${this.#directory}/ns/net`];
    const owner = usersRefused === '' ? users : 'ours';
    this.plan = { ...plan, namespace: 'own', users: owner, join: [join], loopback: 'unreachable' };
    this.usersRefused = usersRefused === '' ? undefined : usersRefused;
  }

  /** Makes one. @returns it, or why it cannot be made. @throws SANDBOX_FAILED where the helper itself cannot run. */
  static async make(making: NetworkMaking): Promise<NetworkNamespace | string> {
    const { helper, users, commands, release = () => undefined } = making;
    const first: readonly HelperCommand[] = users === 'own' ? [['users-of-network']] : [];
    const keeper = HelperProcess.start(helper, { keeper: [...first, ...commands, ['network-hold']], prelude: [] });
    keeper.gone().then(release, () => undefined);
    const said = await keeper.stay();
    return typeof said === 'string' ? new NetworkNamespace(keeper, making, said) : describe(said);
  }

  /**
   * Whether nothing is left of the steps that used it. Their processes and what those had open are gone by then; a connection that TCP still
   * remembers is not, and the next step would see it and could not have its port. /proc/net/tcp would tell as well, but searches all of the host's.
   */
  isClean(): boolean {
    if (!this.#keeper.isWaiting()) return false;
    return !/^TCP6?: inuse (?!0\b)|^TCP: .* tw (?!0\b)/m.test(this.#read('sockstat') + this.#read('sockstat6'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keeper.dismiss();
  }

  /** A kernel without IPv6 has no files about it. */
  #read(name: string): string {
    return lookupText(`${this.#directory}/net/${name}`) ?? '';
  }
}

function describe({ command, subject, errno, detail }: HelperFailure): string {
  const [, meaning = `errno ${errno}`] = getSystemErrorMap().get(-errno) ?? [];
  return [`${command} ${subject}`.trim(), meaning, detail].filter((text) => text !== '').join(': ');
}
