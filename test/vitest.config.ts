import { defineConfig } from 'vitest/config';
import '../.scripts/require-node-24.js';

export default defineConfig({
  root: '.',
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'test/**/golden/**', 'test/**/fixtures/**', 'test/e2e/cases/**'],
    pool: 'forks',
    allowOnly: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: {
      include: ['src/**/*.ts', 'frontend/**/*.ts', 'solver/**/*.ts', 'sandbox/**/*.ts'],
    },
  },
});
