import type { Ownership } from '../src/core/graph.ts';

/** The owner that `user[:group]` spells. */
export function ownership(text: string): Ownership {
  const colon = text.indexOf(':');
  const group = colon === -1 ? '' : text.slice(colon + 1);
  return { user: colon === -1 ? text : text.slice(0, colon), ...(group !== '' && { group }) };
}
