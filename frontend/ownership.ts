import type { Ownership } from '../src/core/graph.ts';

const MAX_ID = 2 ** 31 - 1;

/** The owner that `user[:group]` spells. `root` is 0 whatever the image calls so, as in BuildKit; `unknown` matters only where there are names. */
export function ownership(text: string, unknown?: Ownership['unknown']): Ownership {
  const colon = text.indexOf(':');
  const user = idOf(colon === -1 ? text : text.slice(0, colon));
  const group = colon === -1 ? '' : idOf(text.slice(colon + 1));
  const owner: Ownership = { user, ...(group !== '' && { group }) };
  return unknown !== undefined && hasName(owner) ? { ...owner, unknown } : owner;
}

/** Whether a tree's passwd or group must be asked. */
export function hasName({ user, group = '' }: Ownership): boolean {
  return [user, group].some((id) => id !== '' && !isNumber(id));
}

function idOf(text: string): string {
  return text === 'root' ? '0' : text;
}

function isNumber(id: string): boolean {
  return /^\d{1,10}$/.test(id) && Number(id) <= MAX_ID;
}
