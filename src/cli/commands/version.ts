import type { CommandModule } from '../command.ts';
import { parseFlags } from '../flag.ts';
import { formatJson, listFlags, type ListFlags } from '../list-format.ts';
import { version } from '../version.ts';

/** `tsbuild version`: what a bug report should say. */
export const versionCommand: CommandModule = {
  flags: listFlags,
  operands: { min: 0, max: 0 },
  run: ({ raw, io }) => {
    const { format = 'table' } = parseFlags<ListFlags>(listFlags, raw, io);
    const facts = { version, node: process.version, platform: `${process.platform}/${process.arch}` };
    if (format === 'json') io.stdout.write(formatJson(facts));
    else io.stdout.write(`tsbuild ${version}\nnode    ${facts.node}\nsystem  ${facts.platform}\n`);
    return Promise.resolve(0);
  },
};
