import { describe, expect, test } from 'vitest';
import type { ExecOp } from '../../src/core/graph.ts';
import { checkEntitlements } from '../../solver/ops/entitlements.ts';
import { execOp } from './exec-op.ts';

const gpu = 'vendor.com/gpu=all';

describe('entitlements', () => {
  test.each<[string, Partial<ExecOp>]>([
    ['security.insecure', { security: 'insecure' }],
    ['network.host', { network: 'host' }],
  ])('%s: must be granted', (entitlement, changes) => {
    const check = (allowed: readonly string[]) => () => checkEntitlements(execOp(changes), [], new Set(allowed));
    expect(check([])).toThrow(`needs the entitlement ${entitlement}`);
    expect(check([entitlement])).not.toThrow();
  });

  test('device: must be granted by its name, its class or altogether', () => {
    for (const allowed of [[], ['device=vendor.com/gpu=0'], ['device=vendor.com'], ['network.host']]) {
      expect(() => checkEntitlements(execOp(), [gpu], new Set(allowed)), String(allowed)).toThrow(
        `RUN --device=${gpu} needs the entitlement device=${gpu}`,
      );
    }
    for (const grant of ['device', `device=${gpu}`, 'device=vendor.com/gpu', 'device=vendor.com/gpu=*']) {
      expect(() => checkEntitlements(execOp(), [gpu], new Set([grant])), grant).not.toThrow();
    }
  });

  test('a plain step, and a device that is not there: need none', () => {
    const devices = [{ name: gpu, presence: 'optional' }] as const;
    expect(() => checkEntitlements(execOp({ devices }), [], new Set())).not.toThrow();
  });
});
