import { nearestName } from '../core/nearest-name.ts';

/** `did you mean X?`, or the names themselves where none is near: a flag has few values. */
export function didYouMeanOrKnown(word: string, known: readonly string[]): string {
  const name = nearestName(word, known);
  return name === undefined ? `known are: ${known.join(', ')}` : `did you mean ${name}?`;
}
