import { argv, stdout } from 'node:process';
import { version } from './version.ts';

// The one question that scripts ask often; it needs nothing else.
if (argv.length === 3 && (argv[2] === '--version' || argv[2] === '-v')) {
  stdout.write(`tsbuild ${version}\n`);
} else {
  const { runProcess } = await import('./run-process.ts');
  await runProcess(() => import('../index.ts'));
}
