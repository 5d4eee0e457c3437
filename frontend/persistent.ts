interface Versioned<V> {
  readonly since: number;
  readonly value: V;
}

/**
 * A map that never changes: `with` gives a new map. Versions of one line of descent share their memory, so that setting n keys
 * one after the other takes time in proportion to n; a second child of the same map copies.
 * Iteration follows the order in which the keys were first set.
 */
export class PersistentMap<V> {
  readonly #log: Map<string, Versioned<V>[]>;
  readonly #head: { version: number };
  readonly #version: number;

  private constructor(log: Map<string, Versioned<V>[]>, head: { version: number }) {
    this.#log = log;
    this.#head = head;
    this.#version = head.version;
  }

  /** A map of `entries`; a later one replaces an earlier one of the same key. */
  static of<V>(entries: Iterable<readonly [string, V]> = []): PersistentMap<V> {
    const log = new Map<string, Versioned<V>[]>();
    for (const [key, value] of entries) log.set(key, [{ since: 0, value }]);
    return new PersistentMap(log, { version: 0 });
  }

  /** The value of `key`, or `undefined`. */
  lookup(key: string): V | undefined {
    return this.#current(this.#log.get(key))?.value;
  }

  /** Whether `key` was set. */
  has(key: string): boolean {
    return this.#current(this.#log.get(key)) !== undefined;
  }

  /** This map with `key` set to `value`; a key that is there already keeps its place. */
  with(key: string, value: V): PersistentMap<V> {
    if (this.#version !== this.#head.version) return PersistentMap.of(this.entries()).with(key, value);
    const since = ++this.#head.version;
    const versions = this.#log.get(key);
    if (versions === undefined) this.#log.set(key, [{ since, value }]);
    else versions.push({ since, value });
    return new PersistentMap(this.#log, this.#head);
  }

  /** The pairs, in the order in which their keys were first set. */
  *entries(): Generator<readonly [string, V]> {
    for (const [key, versions] of this.#log) {
      const current = this.#current(versions);
      if (current !== undefined) yield [key, current.value];
    }
  }

  #current(versions: readonly Versioned<V>[] | undefined): Versioned<V> | undefined {
    return versions?.findLast(({ since }) => since <= this.#version);
  }
}

/** A list that never changes: `with` gives a longer one. Shares memory as `PersistentMap` does. */
export class PersistentList<T> {
  readonly #items: T[];
  readonly length: number;

  private constructor(items: T[]) {
    this.#items = items;
    this.length = items.length;
  }

  /** A list of `items`. */
  static of<T>(items: Iterable<T> = []): PersistentList<T> {
    return new PersistentList([...items]);
  }

  /** This list and `item` after it. */
  with(item: T): PersistentList<T> {
    const items = this.length === this.#items.length ? this.#items : this.toArray();
    items.push(item);
    return new PersistentList(items);
  }

  /** The items as an array of the caller's own. */
  toArray(): T[] {
    return this.#items.slice(0, this.length);
  }
}
