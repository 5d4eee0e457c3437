import * as v from 'valibot';
import type { StoreOptions } from '../build-request.ts';
import { parseSize } from './parse-size.ts';

const UserConfig = v.strictObject({
  store: v.optional(v.pipe(v.string(), v.startsWith('/', 'store must be an absolute path'))),
  registryMirrors: v.optional(v.record(v.string(), v.array(v.string()))),
  insecureRegistries: v.optional(v.array(v.string())),
  snapshotter: v.optional(v.picklist(['auto', 'overlay', 'copy'])),
  runtime: v.optional(v.string()),
  syncSteps: v.optional(v.picklist(['suppress', 'real'])),
  maxUsedSpace: v.optional(v.union([v.string(), v.pipe(v.number(), v.integer(), v.minValue(0))])),
});

/** The options that a configuration file holds. @throws ValiError for an unknown key or a wrong type */
export function decodeUserConfig(document: unknown): Partial<StoreOptions> {
  const { store, registryMirrors, insecureRegistries, snapshotter, runtime, syncSteps, maxUsedSpace } = v.parse(
    UserConfig,
    document,
  );
  return {
    ...(store === undefined ? {} : { store }),
    ...(registryMirrors === undefined ? {} : { registryMirrors: new Map(Object.entries(registryMirrors)) }),
    ...(insecureRegistries === undefined ? {} : { insecureRegistries }),
    ...(snapshotter === undefined ? {} : { snapshotter }),
    ...(runtime === undefined ? {} : { runtime }),
    ...(syncSteps === undefined ? {} : { syncSteps }),
    ...(maxUsedSpace === undefined ? {} : { maxUsedBytes: parseSize('maxUsedSpace', String(maxUsedSpace)) }),
  };
}
