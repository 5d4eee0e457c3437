const MAX_DISTANCE = 3;
/** Bounds on the work that one suggestion may cost. */
const MAX_LENGTH = 255;
const MAX_CANDIDATES = 500;
/** What differing in letter case only counts: less than any letter. */
const CASE_PENALTY = 0.5;

/**
 * The one of `candidates` that a person who wrote `text` most likely meant, or `undefined` where none is near: at most every third letter
 * differs, and never more than three; short names tolerate one. The first of equally near ones wins; `text` itself is never the answer.
 */
export function nearestName(text: string, candidates: Iterable<string>): string | undefined {
  if (text === '' || text.length > MAX_LENGTH) return undefined;
  const wanted = text.toLowerCase();
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  let seen = 0;
  for (const candidate of candidates) {
    seen += 1;
    if (seen > MAX_CANDIDATES) break;
    const limit = allowedDistance(text, candidate);
    if (Math.abs(candidate.length - text.length) > limit || candidate === text) continue;
    const distance = Math.min(
      editDistance(text, candidate),
      CASE_PENALTY + editDistance(wanted, candidate.toLowerCase()),
    );
    if (distance <= limit + CASE_PENALTY && distance < (best?.distance ?? Infinity)) best = { candidate, distance };
  }
  return best?.candidate;
}

/** `did you mean X?`, or `undefined` where nothing is near. */
export function didYouMean(text: string, candidates: Iterable<string>): string | undefined {
  const candidate = nearestName(text, candidates);
  return candidate === undefined ? undefined : `did you mean ${candidate}?`;
}

/** `did you mean X?`, or the names themselves where nothing is near: there are few. */
export function didYouMeanOneOf(text: string, known: readonly string[]): string {
  return didYouMean(text, known) ?? `choose from: ${known.join(', ')}`;
}

/** Short names tolerate few differences, lest `a` suggest `b`. */
function allowedDistance(a: string, b: string): number {
  return Math.min(MAX_DISTANCE, Math.floor((Math.max(a.length, b.length) + 1) / 3));
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let before: readonly number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const next = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const changed = a[row - 1] === b[column - 1] ? 0 : 1;
      const isSwapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const removed = (last[column] ?? 0) + 1;
      const added = (next[column - 1] ?? 0) + 1;
      const swapped = isSwapped ? (before[column - 2] ?? 0) + 1 : Infinity;
      next.push(Math.min(removed, added, (last[column - 1] ?? 0) + changed, swapped));
    }
    [before, last] = [last, next];
  }
  return last[b.length] ?? 0;
}
