/** The shell command that runs test files in the guest; a program that is missing there is missing on the host too. */
export function vitestCommand(...args: readonly string[]): string {
  const words = [
    process.execPath,
    'node_modules/vitest/vitest.mjs',
    'run',
    '--config',
    'test/vitest.config.ts',
    ...args,
  ];
  return `TSBUILD_TEST_GUEST=1 TSBUILD_TEST_REQUIRE=all ${words.map((word) => `'${word}'`).join(' ')}`;
}
