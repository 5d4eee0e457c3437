import { version } from './version.ts';

// Importing `node:process` would run all its getters, which takes milliseconds; the global object does not.
// The one question that scripts ask often; it needs nothing else.
if (process.argv.length === 3 && (process.argv[2] === '--version' || process.argv[2] === '-v')) {
  process.stdout.write(`tsbuild ${version}\n`);
} else {
  if (process.geteuid?.() !== 0) {
    // Replaces this process by one that is root in a user namespace; there the same command line begins anew.
    const { enterUserNamespace } = await import('../rootless.ts');
    enterUserNamespace();
  }
  const { runProcess } = await import('./run-process.ts');
  await runProcess(() => import('../index.ts'));
}
