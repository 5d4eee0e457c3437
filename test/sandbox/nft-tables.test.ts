import { expect, it } from 'vitest';
import { nftTables } from '../../sandbox/nft-tables.ts';
import { describeWith } from '../support/requires.ts';
import { checkProgram } from '../support/run-program.ts';

describeWith(['root', 'nft'], 'tables of nftables', () => {
  it('are those that nft lists, of every family, until they are gone', async () => {
    const ours = ['ip', 'inet', 'bridge', 'netdev'].map((family) => `${family} vitest_${process.pid}_${family}`);
    try {
      for (const table of ours) await checkProgram('nft', ['add', 'table', ...table.split(' ')]);
      expect(others(nftTables())).toEqual(others(await listed()));
      expect(nftTables()).toEqual(expect.arrayContaining(ours.map((table) => table.split(' ')[1])));
    } finally {
      for (const table of ours) await checkProgram('nft', ['delete', 'table', ...table.split(' ')]);
    }
    expect(nftTables()?.filter((name) => name.startsWith(`vitest_${process.pid}_`))).toEqual([]);
  });
});

async function listed(): Promise<readonly string[]> {
  const tables = await checkProgram('nft', ['list', 'tables']);
  return tables.split('\n').flatMap((line) => line.split(' ').slice(2));
}

/** Those of builds come and go meanwhile. */
function others(names: readonly string[] | undefined): readonly string[] | undefined {
  return names?.filter((name) => !name.startsWith('tsbuild-')).toSorted();
}
