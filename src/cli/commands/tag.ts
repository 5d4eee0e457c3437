import type { CommandModule } from '../command.ts';

/** `tsbuild tag`: more names for an image. */
export const tagCommand: CommandModule = {
  flags: [],
  operands: { min: 2, max: Infinity },
  run: async ({ operands: [from = '', ...names], store, loadApi }) => {
    const api = await loadApi();
    await using handle = await api.openStore(store);
    for (const name of names) await handle.tag(from, name);
    return 0;
  },
};
