import { describe, expect, test } from 'vitest';
import type { ExecOp } from '../../src/core/graph.ts';
import { checkEntitlements } from '../../solver/ops/entitlements.ts';
import { execOp } from './exec-op.ts';

const device = { name: 'vendor.com/gpu=all', presence: 'required' } as const;

describe('entitlements', () => {
  test.each<[string, Partial<ExecOp>]>([
    ['security.insecure', { security: 'insecure' }],
    ['network.host', { network: 'host' }],
    ['device', { devices: [device] }],
  ])('%s: must be granted', (entitlement, changes) => {
    const check = (allowed: readonly string[]) => () => checkEntitlements(execOp(changes), new Set(allowed));
    expect(check([])).toThrow(`needs the entitlement ${entitlement}`);
    if (entitlement !== 'device') expect(check([entitlement])).not.toThrow();
  });

  test('a plain step: needs none', () => {
    expect(() => checkEntitlements(execOp(), new Set())).not.toThrow();
  });

  test('a device that the step cannot do without: is refused, an optional one left out', () => {
    const allowed = new Set(['device']);
    expect(() => checkEntitlements(execOp({ devices: [device] }), allowed)).toThrow('is not supported');
    const optional = { ...device, presence: 'optional' } as const;
    expect(() => checkEntitlements(execOp({ devices: [optional] }), allowed)).not.toThrow();
  });
});
