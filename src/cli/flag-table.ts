import { buildFlags } from './build-flags.ts';
import { commonFlags, progressFlags } from './common-flags.ts';
import { formatFlag, type FlagShape } from './flag.ts';

/** README's tables of flags as markdown: those of `build`, then those of every command. */
export function formatFlagTable(): string {
  return [
    '| `tsbuild build` | |',
    '| --- | --- |',
    ...[...buildFlags, ...progressFlags].map(formatRow),
    '',
    '| every command | |',
    '| --- | --- |',
    ...commonFlags.map(formatRow),
    '',
  ].join('\n');
}

function formatRow(flag: FlagShape): string {
  const variables = flag.env === undefined ? '' : ` (${flag.env.map((name) => `\`${name}\``).join(', ')})`;
  return `| \`${escapeCell(formatFlag(flag))}\` | ${escapeCell(flag.doc)}${variables} |`;
}

/** A bar would end the cell, even inside code. */
function escapeCell(text: string): string {
  return text.replaceAll('|', String.raw`\|`);
}
