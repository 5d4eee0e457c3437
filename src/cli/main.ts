import { version } from './version.ts';

const { argv } = process;

// The one question that scripts ask often; it needs nothing else.
if (argv.length === 3 && (argv[2] === '--version' || argv[2] === '-v')) {
  process.stdout.write(`tsbuild ${version}\n`);
} else {
  if (process.geteuid?.() !== 0) {
    // Replaces this process by one that is root in a user namespace; there the same command line begins anew.
    const { enterUserNamespace } = await import('../rootless.ts');
    enterUserNamespace(argv[2] === 'doctor' ? 'if-possible' : 'required');
  }
  const { runProcess } = await import('./run-process.ts');
  await runProcess(() => import('../index.ts'));
}
