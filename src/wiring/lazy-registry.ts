import type { Registry } from '../core/registry.ts';

/**
 * A registry client that is loaded by its first use: most builds need none, and node:http alone takes longer to load than a cached
 * build takes to run. Disposing it closes the client where there is one.
 */
export function lazyRegistry(load: () => Promise<Registry>): Registry {
  let loaded: Promise<Registry> | undefined;
  const open = (): Promise<Registry> => (loaded ??= load());
  return {
    resolve: async (...args) => (await open()).resolve(...args),
    fetchManifest: async (...args) => (await open()).fetchManifest(...args),
    async *fetchBlob(...args) {
      yield* (await open()).fetchBlob(...args);
    },
    hasBlob: async (...args) => (await open()).hasBlob(...args),
    pushBlob: async (...args) => (await open()).pushBlob(...args),
    pushManifest: async (...args) => (await open()).pushManifest(...args),
    async [Symbol.asyncDispose]() {
      await (await loaded)?.[Symbol.asyncDispose]();
    },
  };
}
