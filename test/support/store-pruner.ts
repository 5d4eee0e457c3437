/** A process that prunes a store, for tests that kill it: `node store-pruner.ts STORE SCOPE`. Layers are directories below `sandbox/layers`. */
import { pruneStore } from '../../src/store/prune.ts';
import { directoryLayers, openStore } from './store-rig.ts';

const [path = '', scope = 'unused'] = process.argv.slice(2);
{
  await using store = await openStore(path);
  const parts = { ...store, layers: directoryLayers(`${store.state.sandboxDir}/layers`) };
  const result = await pruneStore(parts, { scope: scope === 'all' ? 'all' : 'unused' });
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
