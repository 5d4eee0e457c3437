import { mkdirSync, readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pruneStore } from '../../src/store/prune.ts';
import { cacheKey, cacheRecord, layerInfo } from '../contracts/cache-index.ts';
import { expectSound, runPruner, runWriter, startWriter } from '../support/killed-process.ts';
import { directoryLayers, openStore, temporaryDirectory } from '../support/store-rig.ts';

describe('prune', () => {
  it.each(['prune-forgotten', 'prune-removing'])(
    'killed at %s: images stay whole, the next one finishes',
    async (failpoint) => {
      await using directory = await temporaryDirectory();
      const path = join(directory.path, 's');
      const { lines } = await runWriter({ store: path, prefix: 'a', count: 2 });
      await addGarbage(path);
      expect((await runPruner({ store: path, scope: 'unused', failpoint })).signal).toBe('SIGKILL');
      const named = lines.filter((line) => line.startsWith('blob') || line.startsWith('name'));
      await expectSound(path, named);
      expect((await runPruner({ store: path, scope: 'unused' })).signal).toBeNull();
      await expectSound(path, named);
      expect(readdirSync(join(path, 'sandbox/layers'))).toEqual([]);
      expect(readdirSync(join(path, 'blobs/sha256'))).toHaveLength(6);
    },
  );
  it('beside writers: takes nothing of theirs', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 's');
    const writers = ['a', 'b', 'c'].map((prefix) => startWriter({ store: path, prefix, count: 15 }));
    const ended = Promise.all(writers.map(({ end }) => end));
    const writing = { running: true };
    const stopped = ended.finally(() => (writing.running = false));
    let rounds = 0;
    for (; writing.running; rounds++) {
      await using store = await openStore(path);
      await pruneStore({ ...store, layers: directoryLayers(`${store.state.sandboxDir}/layers`) }, { scope: 'unused' });
    }
    await stopped;
    const named = (await ended).flatMap(({ lines }) => lines).filter((line) => !line.startsWith('record'));
    expect(named).toHaveLength(3 * 15 * 2);
    expect(rounds).toBeGreaterThan(1);
    await expectSound(path, named);
  });
});

/** What a process that has ended since left without a name: blobs, records and layers, one of them not recorded. */
async function addGarbage(path: string): Promise<void> {
  await using store = await openStore(path);
  for (const id of ['old-1', 'old-2', 'unrecorded']) {
    mkdirSync(join(store.state.sandboxDir, 'layers', id), { recursive: true });
    utimesSync(join(store.state.sandboxDir, 'layers', id), 1000, 1000);
  }
  for (const id of ['old-1', 'old-2']) await store.cache.recordLayer(layerInfo(id));
  await store.cache.record([cacheKey('old')], cacheRecord('old-1', 'old-2'));
  await store.content.write(Buffer.from('stray'));
}
