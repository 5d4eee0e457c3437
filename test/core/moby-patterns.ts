/**
 * What moby's patternmatcher decides, told in its own way: each pattern becomes a regular expression, every path is tried with all of its
 * parents, from the first pattern to the last. Slow and open to backtracking; an oracle for well-behaved patterns only.
 */
export function mobyMatches(patterns: readonly string[], path: string): boolean {
  const parents = path.split('/').map((_, i, parts) => parts.slice(0, i + 1).join('/'));
  let excluded = false;
  for (const pattern of patterns) {
    const negated = pattern.startsWith('!');
    if (negated !== excluded) continue;
    const expression = mobyExpression(negated ? pattern.slice(1) : pattern);
    if (parents.some((parent) => expression.test(parent))) excluded = !negated;
  }
  return excluded;
}

function mobyExpression(pattern: string): RegExp {
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    if (pattern.startsWith('**', at)) {
      const first = at === 0;
      at += pattern.charAt(at + 2) === '/' ? 2 : 1;
      const last = at === pattern.length - 1;
      const plainRest = !/[*?[\]\\]/.test(pattern.slice(at + 1));
      source += last || (first && plainRest && !pattern.startsWith('**/')) ? '.*' : '(?:.*/)?';
    } else if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (character === '[') {
      const end = pattern.indexOf(']', at);
      source += pattern.slice(at, end + 1);
      at = end;
    } else if (character === '\\') source += escape(pattern.charAt(++at));
    else source += escape(character);
  }
  return new RegExp(`^${source}$`, 'su');
}

function escape(character: string): string {
  return /[.+()|{}$^[\]\\*?/]/.test(character) ? `\\${character}` : character;
}
