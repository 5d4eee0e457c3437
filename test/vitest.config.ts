import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import '../.scripts/require-node-24.js';

/** Set by test/guest: a machine with tests of its own and emulated, slow processors. */
const inGuest = process.env['TSBUILD_TEST_GUEST'] !== undefined;

export default defineConfig({
  root: '.',
  test: {
    include: ['test/**/*.test.ts', ...(inGuest ? ['test/guest/inside/*.ts'] : [])],
    exclude: ['**/node_modules/**', 'test/**/golden/**', 'test/**/fixtures/**', 'test/e2e/cases/**'],
    pool: 'forks',
    // V8 guards code pages by keys of such processors, and now and then aborts a process in which many threads start and end (nodejs/node#64500).
    execArgv: process.arch === 'x64' ? ['--no-memory-protection-keys'] : [],
    // The tests wait for processes and disks more than they compute: two at a time also on two cores, where vitest would take one.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    allowOnly: false,
    testTimeout: inGuest ? 300_000 : 60_000,
    hookTimeout: inGuest ? 300_000 : 60_000,
    coverage: {
      include: ['src/**/*.ts', 'frontend/**/*.ts', 'solver/**/*.ts', 'sandbox/**/*.ts'],
    },
  },
});
