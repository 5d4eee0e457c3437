import { expect, it } from 'vitest';

/** Registers a test; of vitest's `it` what suites need that more than one implementation runs through. */
export type RegisterTest = (name: string, test: () => Promise<unknown>) => void;

/**
 * Runs a suite for an implementation that fails some of its tests by nature: `lacks` says which, by name, and why. Those are run as well and
 * have to fail, and their names say why: nothing is skipped, and what has been mended does not stay on the list.
 */
export function itUnless(lacks: Readonly<Record<string, string>>, suite: (register: RegisterTest) => void): void {
  const left = new Set(Object.keys(lacks));
  suite((name, test) => {
    const reason = lacks[name];
    left.delete(name);
    const run = reason === undefined ? it : it.fails;
    run(reason === undefined ? name : `${name} (cannot pass: ${reason})`, test);
  });
  it('lacks: all are tests of the suite', () => expect([...left]).toEqual([]));
}
