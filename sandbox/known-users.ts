import type { ResolvedUser } from '../src/core/file-backend.ts';
import type { LayerStack } from '../src/core/snapshot.ts';
import { fromText } from './byte-string.ts';
import { lookupStat } from './file-stat.ts';
import type { LayerStore } from './layer-store.ts';
import { openTree } from './tree-directory.ts';
import { resolveUserInTree } from './user-lookup.ts';

/**
 * The users of trees. As a rule a step's tree is the last step's and one layer more that has nothing in /etc: then nobody is looked up again,
 * however many layers there are.
 */
export class KnownUsers {
  readonly #store: LayerStore;
  readonly #last = new Map<string, { readonly stack: LayerStack; readonly user: ResolvedUser }>();

  constructor(store: LayerStore) {
    this.#store = store;
  }

  /** See `FileBackend.resolveUser`. @throws USER_NOT_FOUND */
  async resolve(stack: LayerStack, name: string): Promise<ResolvedUser> {
    const user = (await this.#unchanged(stack, name)) ?? (await this.#lookUp(stack, name));
    this.#last.set(name, { stack, user });
    return user;
  }

  #lookUp(stack: LayerStack, user: string): Promise<ResolvedUser> {
    return this.#store.look(stack, (directories) => resolveUserInTree({ directories, user }));
  }

  async #unchanged(stack: LayerStack, name: string): Promise<ResolvedUser | undefined> {
    const last = this.#last.get(name);
    if (last === undefined || stack.length !== last.stack.length + 1) return undefined;
    if (!last.stack.every((layer, index) => layer === stack[index])) return undefined;
    return (await this.#store.look(stack.slice(-1), leavesAccounts)) ? last.user : undefined;
  }
}

/** Whether the one layer changes nothing in /etc of what it lies on. */
function leavesAccounts(directories: readonly string[]): boolean {
  using layer = openTree(directories);
  return lookupStat(layer.top, fromText('etc')) === undefined;
}
