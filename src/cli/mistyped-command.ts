import { existsSync } from 'node:fs';
import { commandTable } from './command-table.ts';
import { nearestName } from '../core/nearest-name.ts';
import { usageError } from './usage-error.ts';

/** Refuses a build whose context looks like the misspelt name of another command (`tsbuild imagse`). @throws USAGE */
export function refuseMistypedCommand(operands: readonly string[]): void {
  const [word, ...others] = operands;
  if (word === undefined || (others.length === 0 && existsSync(word))) return;
  const meant = nearestName(
    word,
    commandTable.map(({ name }) => name),
  );
  if (meant === undefined) return;
  throw usageError(`no command and no directory is named ${JSON.stringify(word)}`, `did you mean tsbuild ${meant}?`);
}
