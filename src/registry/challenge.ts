/** What a `WWW-Authenticate` header asks for (RFC 9110 section 11.6.1; token flow of the distribution-spec). */
export type Challenge =
  | { readonly scheme: 'basic' }
  | {
      readonly scheme: 'bearer';
      readonly realm: string;
      readonly service: string | undefined;
      readonly scopes: readonly string[];
    };

const MAX_LENGTH = 8192;
/** Next `name=token`, `name="quoted string"` or lone scheme name; sticky, so that the work is linear. */
const PART = /[\s,]*(?:([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z]+)(?=[\s,]|$))/y;

/** The challenge that can be answered here, bearer before basic; `undefined` where there is none. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  if (header === undefined || header.length > MAX_LENGTH) return undefined;
  const found = challengesIn(header);
  const bearer = found.find(({ scheme }) => scheme === 'bearer');
  const realm = bearer?.parameters.get('realm');
  if (bearer !== undefined && realm !== undefined) {
    return {
      scheme: 'bearer',
      realm,
      service: bearer.parameters.get('service'),
      scopes: (bearer.parameters.get('scope') ?? '').split(' ').filter((scope) => scope !== ''),
    };
  }
  return found.some(({ scheme }) => scheme === 'basic') ? { scheme: 'basic' } : undefined;
}

interface RawChallenge {
  readonly scheme: string;
  readonly parameters: Map<string, string>;
}

function challengesIn(header: string): readonly RawChallenge[] {
  const challenges: RawChallenge[] = [];
  PART.lastIndex = 0;
  for (let match = PART.exec(header); match !== null; match = PART.exec(header)) {
    const [, name, quoted, token, scheme] = match;
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() });
    else if (name !== undefined) {
      challenges.at(-1)?.parameters.set(name.toLowerCase(), token ?? quoted?.replaceAll(/\\(.)/g, '$1') ?? '');
    }
  }
  return challenges;
}
