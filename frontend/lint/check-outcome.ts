import type { Diagnostic } from '../../src/core/diagnostic.ts';
import type { Dockerfile } from '../ast.ts';
import { DEFAULT_CHECK_OPTIONS, parseCheckOptions, type CheckOptions } from './check-options.ts';
import { groupOf, isRuleName } from './rules.ts';

/** Whether lint findings let the build go on. */
export type CheckOutcome =
  { readonly kind: 'passed' } | { readonly kind: 'violations'; readonly rules: readonly string[] };

/** What the `check` directive says, or the build argument in its place. @throws Flaw InvalidCheck */
export function checkOptions(dockerfile: Dockerfile, buildArgs: ReadonlyMap<string, string>): CheckOptions {
  const text =
    buildArgs.get('BUILDKIT_DOCKERFILE_CHECK') ?? dockerfile.directives.find(({ name }) => name === 'check')?.value;
  return text === undefined ? DEFAULT_CHECK_OPTIONS : parseCheckOptions(text);
}

/**
 * The rules that `diagnostics` violate, where `error=true` asks for the build to fail; each once, in the order of the findings.
 * What tsbuild warns of beyond BuildKit's rules and the own ones that were asked for fails nothing.
 */
export function checkOutcome(
  diagnostics: readonly Diagnostic[],
  dockerfile: Dockerfile,
  buildArgs: ReadonlyMap<string, string> = new Map(),
): CheckOutcome {
  if (checkOptions(dockerfile, buildArgs).outcome !== 'error') return { kind: 'passed' };
  const rules = new Set(
    diagnostics.map(({ code }) => code).filter((code) => isRuleName(code) && groupOf(code) !== 'notice'),
  );
  return rules.size === 0 ? { kind: 'passed' } : { kind: 'violations', rules: [...rules] };
}
