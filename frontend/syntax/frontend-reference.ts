import { parseReference } from '../../src/oci/reference.ts';

/** The newest version of the language that is known here. */
const KNOWN_MINOR = 26;
const REPOSITORY = /(?:^|\/)docker\/dockerfile(?:-upstream)?$/;

/** What a `syntax` directive asks for. */
export type FrontendRequest =
  | { readonly kind: 'builtin' }
  /** The builtin frontend serves it, but may not know all of it. */
  | { readonly kind: 'newer'; readonly version: string }
  | { readonly kind: 'foreign'; readonly reference: string };

/** Tells whether `reference` means the Dockerfile language. Mirrors of the official image count as it. */
export function classifyFrontend(reference: string): FrontendRequest {
  const [image = ''] = reference.trim().split(/\s+/);
  if (image === 'dockerfile.v0') return { kind: 'builtin' };
  const parsed = parseReference(image);
  if (parsed === undefined || !REPOSITORY.test(parsed.repository)) return { kind: 'foreign', reference: image };
  const [, major = '1', minor = '0'] = /^v?(\d+)(?:\.(\d+))?/.exec(parsed.tag ?? '') ?? [];
  const newer = Number(major) > 1 || (Number(major) === 1 && Number(minor) > KNOWN_MINOR);
  return newer ? { kind: 'newer', version: `${major}.${minor}` } : { kind: 'builtin' };
}

/** The `syntax` directive at the head of `text` in any form that BuildKit looks for: behind `#`, `//`, a `#!` line, or in JSON. */
export function detectSyntax(text: string): string | undefined {
  const lines = text.replace(/^\ufeff/, '').split('\n', 64);
  const head = lines[0]?.startsWith('#!') === true ? lines.slice(1) : lines;
  return syntaxBehind('#', head) ?? syntaxBehind('//', head) ?? syntaxInJson(text);
}

function syntaxBehind(marker: '#' | '//', lines: readonly string[]): string | undefined {
  for (const line of lines) {
    const text = line.trim();
    const match = text.startsWith(marker)
      ? /^\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)$/.exec(text.slice(marker.length))
      : null;
    if (match === null) return undefined;
    if (match[1]?.toLowerCase() === 'syntax') return match[2];
    if (!['escape', 'check'].includes(match[1]?.toLowerCase() ?? '')) return undefined;
  }
  return undefined;
}

function syntaxInJson(text: string): string | undefined {
  return /^\s*\{[^}]*"syntax"\s*:\s*"([^"]+)"/.exec(text)?.[1];
}
