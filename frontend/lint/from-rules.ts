import { parsePlatform } from '../../src/oci/platform.ts';
import type { Stage } from '../ast.ts';
import type { Expansion } from '../expand.ts';
import type { GlobalScope } from '../global-scope.ts';
import type { LintReporter } from './reporter.ts';
import { MESSAGES } from './rules.ts';

interface FromContext {
  readonly stage: Stage;
  readonly scope: GlobalScope;
  readonly reporter: LintReporter;
}

/** UndefinedArgInFrom: variables of a FROM line that nothing declares. */
export function lintUndeclared({ unmatched }: Expansion, { stage, scope, reporter }: FromContext): void {
  for (const name of unmatched) {
    if (scope.declared.has(name)) continue;
    const near = reporter.nearest(name, scope.declared);
    reporter.report({
      rule: 'UndefinedArgInFrom',
      message: MESSAGES.UndefinedArgInFrom(name, near),
      instruction: stage.from,
      place: { kind: 'variable', name },
      help: near === undefined ? `declare it above the first FROM: ARG ${name}=VALUE` : `did you mean ${near}?`,
    });
  }
}

/** RedundantTargetPlatform and FromPlatformFlagConstDisallowed. */
export function lintFromPlatform(expansion: Expansion, o: FromContext & { readonly written: string }): void {
  const { matched, unmatched, text } = expansion;
  const finding = { instruction: o.stage.from, place: { kind: 'flag', name: 'platform' } } as const;
  if (
    matched.size === 1 &&
    unmatched.size === 0 &&
    matched.has('TARGETPLATFORM') &&
    text === o.scope.variables.lookup('TARGETPLATFORM')
  ) {
    o.reporter.report({
      rule: 'RedundantTargetPlatform',
      message: MESSAGES.RedundantTargetPlatform(o.written),
      ...finding,
      help: 'leave --platform out',
    });
  }
  if (matched.size > 0 || unmatched.size > 0) return;
  const platform = parsePlatform(text);
  const name = o.stage.name ?? '';
  if (platform === undefined || name.includes(platform.os) || name.includes(platform.architecture)) return;
  o.reporter.report({
    rule: 'FromPlatformFlagConstDisallowed',
    message: MESSAGES.FromPlatformFlagConstDisallowed(text),
    ...finding,
    help: 'use $BUILDPLATFORM or $TARGETPLATFORM, or name the stage after the platform',
  });
}
