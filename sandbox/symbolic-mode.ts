import { BuildError } from '../src/core/error.ts';
import type { Mode } from '../src/core/graph.ts';

/** What --chmod makes of a mode. */
export type ModeChange = (mode: number, type: 'directory' | 'other') => number;

const CLAUSE = /^([ugoa]*)((?:[-+=][rwxXst]*|[-+=][ugo])+)$/;
const SHIFT: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };

/** The change that `mode` means: a number replaces all twelve bits; text is chmod(1)'s symbolic form with umask 0. @throws COPY_INVALID */
export function modeChange(mode: Mode): ModeChange {
  if (typeof mode === 'number') return () => mode & 0o7777;
  if (/^[0-7]{1,4}$/.test(mode)) return () => Number.parseInt(mode, 8);
  const changes = mode.split(',').flatMap((clause) => parseClause(clause, mode));
  return (before, type) => changes.reduce((current, change) => change(current, type), before);
}

function parseClause(clause: string, whole: string): ModeChange[] {
  const match = CLAUSE.exec(clause);
  if (match === null)
    throw new BuildError('COPY_INVALID', { path: '--chmod', reason: `${JSON.stringify(whole)} is not a mode` });
  const [, who = '', actions = ''] = match;
  const classes = who === '' || who.includes('a') ? 'ugo' : who;
  return [...actions.matchAll(/([-+=])([rwxXst]*|[ugo])(?=[-+=]|$)/g)].map(([, operator = '=', permissions = '']) => {
    return (mode, type) => {
      const bits = bitsOf(permissions, classes, { mode, type });
      if (operator === '+') return mode | bits;
      if (operator === '-') return mode & ~bits;
      return (mode & ~clearedBy(classes, type)) | bits;
    };
  });
}

/** The bits that `permissions` mean for `classes`; a single `u`, `g` or `o` copies that class' bits. */
function bitsOf(
  permissions: string,
  classes: string,
  { mode, type }: { readonly mode: number; readonly type: 'directory' | 'other' },
): number {
  let bits = 0;
  for (const letter of permissions) {
    for (const owner of classes) {
      const shift = SHIFT[owner] ?? 0;
      if (letter === 'r') bits |= 4 << shift;
      else if (letter === 'w') bits |= 2 << shift;
      else if (letter === 'x' || (letter === 'X' && (type === 'directory' || (mode & 0o111) !== 0))) bits |= 1 << shift;
      else if (letter in SHIFT) bits |= ((mode >> (SHIFT[letter] ?? 0)) & 7) << shift;
      else if (letter === 's') bits |= { u: 0o4000, g: 0o2000, o: 0 }[owner as 'u' | 'g' | 'o'];
      else if (letter === 't') bits |= 0o1000;
    }
  }
  return bits;
}

/** What `=` takes away first. As in GNU chmod a directory keeps setuid and setgid bits that are not mentioned. */
function clearedBy(classes: string, type: 'directory' | 'other'): number {
  let bits = 0;
  for (const owner of classes) bits |= 7 << (SHIFT[owner] ?? 0);
  if (type === 'other') {
    if (classes.includes('u')) bits |= 0o4000;
    if (classes.includes('g')) bits |= 0o2000;
  }
  if (classes.includes('o')) bits |= 0o1000;
  return bits;
}
