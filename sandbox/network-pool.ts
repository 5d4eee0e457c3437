import { BuildError } from '../src/core/error.ts';
import type { NetworkNamespace } from './network-namespace.ts';
import type { NetworkPlan } from './network.ts';

/** One way of making networks; all but `none` lead outside. */
export interface NetworkDriver {
  readonly name: 'none' | 'bridge' | 'pasta' | 'slirp4netns';
  /** @returns a namespace, or why there can be none. */
  make(): Promise<NetworkNamespace | string>;
}

/** A network in the hands of one step; disposing gives it back. */
export interface TakenNetwork extends AsyncDisposable {
  readonly plan: NetworkPlan;
  /** Why a step that has it is not isolated as it was to be. */
  readonly note?: string;
}

/**
 * Namespaces of one driver. Each serves one step at a time, and another one afterwards if nothing is left in it: making one takes longer than
 * running a short step.
 */
export class NetworkPool implements AsyncDisposable {
  /** Why those that it makes have no user namespace although they were to have one. */
  readonly usersRefused: string | undefined;
  readonly #driver: NetworkDriver;
  readonly #free: NetworkNamespace[];
  readonly #ending = new Set<Promise<void>>();

  private constructor(driver: NetworkDriver, first: NetworkNamespace) {
    this.usersRefused = first.usersRefused;
    this.#driver = driver;
    this.#free = [first];
  }

  /** @returns the pool with its first namespace, which shows that the driver works here; or why it does not. */
  static async open(driver: NetworkDriver): Promise<NetworkPool | string> {
    const first = await driver.make();
    return typeof first === 'string' ? first : new NetworkPool(driver, first);
  }

  get driver(): NetworkDriver['name'] {
    return this.#driver.name;
  }

  /**
   * A network for one step. `use` is `once` for a step that may change its addresses, routes or filters.
   * @throws SANDBOX_FAILED where another one cannot be made.
   */
  async take(use: 'again' | 'once'): Promise<TakenNetwork> {
    const namespace = this.#free.pop() ?? (await this.#make());
    const { plan, usersRefused } = namespace;
    return {
      plan,
      ...(usersRefused !== undefined && { note: `steps share the host’s user namespace: ${usersRefused}` }),
      [Symbol.asyncDispose]: async () => this.#giveBack(namespace, use),
    };
  }

  /** Begins to end those that no step uses. */
  rest(): void {
    for (const namespace of this.#free.splice(0)) this.#end(namespace);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.rest();
    await Promise.all(this.#ending);
  }

  async #make(): Promise<NetworkNamespace> {
    const made = await this.#driver.make();
    if (typeof made !== 'string') return made;
    throw new BuildError('SANDBOX_FAILED', { step: 'make a network for the step', reason: made });
  }

  #giveBack(namespace: NetworkNamespace, use: 'again' | 'once'): void {
    if (use === 'again' && namespace.isClean()) this.#free.push(namespace);
    else this.#end(namespace);
  }

  /** The next step need not wait for it. */
  #end(namespace: NetworkNamespace): void {
    const ending = namespace[Symbol.asyncDispose]().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}
