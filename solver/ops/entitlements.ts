import { BuildError } from '../../src/core/error.ts';
import type { ExecOp } from '../../src/core/graph.ts';

/**
 * Refuses a step that asks for more than the user granted. The one place that decides.
 * @param devices the names of those found for it: one that is not there takes no grant
 * @throws NOT_ALLOWED
 */
export function checkEntitlements(op: ExecOp, devices: readonly string[], allowed: ReadonlySet<string>): void {
  const needed = [
    ...(op.security === 'insecure' ? [['security.insecure', 'RUN --security=insecure'] as const] : []),
    ...(op.network === 'host' ? [['network.host', 'RUN --network=host'] as const] : []),
    ...devices.map((name) => [`device=${name}`, `RUN --device=${name}`] as const),
  ];
  const missing = needed.find(([entitlement]) => !grants(entitlement).some((grant) => allowed.has(grant)));
  if (missing !== undefined) throw new BuildError('NOT_ALLOWED', { entitlement: missing[0], why: missing[1] });
}

/** What allows an entitlement: `device=vendor/class=name` is covered by its class, and by `device`. */
function grants(entitlement: string): readonly string[] {
  if (!entitlement.startsWith('device=')) return [entitlement];
  const kind = entitlement.slice(0, entitlement.lastIndexOf('='));
  return [entitlement, `${kind}=*`, kind, 'device'];
}
