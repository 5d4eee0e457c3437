const MAX_DISTANCE = 3;
/** Bounds on the work that one suggestion may cost. */
const MAX_LENGTH = 40;
const MAX_CANDIDATES = 500;

/**
 * The one of `candidates` that a person who typed `text` most likely meant, or `undefined` where none is near.
 * Letter case costs nothing; the first of equally near ones wins.
 */
export function nearest(text: string, candidates: Iterable<string>): string | undefined {
  if (text === '' || text.length > MAX_LENGTH) return undefined;
  const wanted = text.toLowerCase();
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  let seen = 0;
  for (const candidate of candidates) {
    if (++seen > MAX_CANDIDATES) break;
    if (Math.abs(candidate.length - text.length) > MAX_DISTANCE || candidate === text) continue;
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance <= allowed(text, candidate) && (best === undefined || distance < best.distance))
      best = { candidate, distance };
  }
  return best?.candidate;
}

/** `did you mean X?`, or `undefined` where nothing is near. */
export function didYouMean(text: string, candidates: Iterable<string>): string | undefined {
  const candidate = nearest(text, candidates);
  return candidate === undefined ? undefined : `did you mean ${candidate}?`;
}

/** Short names tolerate few differences, lest `a` suggest `b`. */
function allowed(a: string, b: string): number {
  return Math.min(MAX_DISTANCE, Math.floor((Math.max(a.length, b.length) + 1) / 3));
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
