import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Whether a layer was made on others, or on `nothing`, wherever it is stacked: then what is below does not matter to its tar. */
export type MadeOn = 'layers' | 'nothing';

/** Marks the layer whose files are going to be in `directory` as made on nothing. */
export function markLone(directory: string): void {
  writeFileSync(markBeside(directory), '');
}

/** Whether the layer whose files are in `directory` was made on nothing. */
export function isLone(directory: string): boolean {
  return existsSync(markBeside(directory));
}

function markBeside(directory: string): string {
  return join(dirname(directory), 'lone');
}
