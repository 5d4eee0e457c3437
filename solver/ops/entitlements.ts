import { BuildError } from '../../src/core/error.ts';
import type { ExecOp } from '../../src/core/graph.ts';

/** Refuses a step that asks for more than the user granted. The one place that decides. @throws NOT_ALLOWED, UNSUPPORTED */
export function checkEntitlements(op: ExecOp, allowed: ReadonlySet<string>): void {
  const needed = [
    ...(op.security === 'insecure' ? [['security.insecure', 'RUN --security=insecure'] as const] : []),
    ...(op.network === 'host' ? [['network.host', 'RUN --network=host'] as const] : []),
    ...(op.devices.length > 0 ? [['device', 'RUN --device'] as const] : []),
  ];
  const missing = needed.find(([entitlement]) => !allowed.has(entitlement));
  if (missing !== undefined) throw new BuildError('NOT_ALLOWED', { entitlement: missing[0], why: missing[1] });
  const device = op.devices.find(({ presence }) => presence === 'required');
  if (device !== undefined) {
    throw new BuildError('UNSUPPORTED', {
      what: `RUN --device=${device.name}`,
      instead: 'write --device=NAME without `required`: the step then runs without the device',
    });
  }
}
