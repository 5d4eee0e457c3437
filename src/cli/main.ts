import type { TsbuildApi } from '../store-handle.ts';
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
  const api = loadApi(looksLikeBuild(argv[2]) ? 'build' : 'other');
  const { runProcess } = await import('./run-process.ts');
  await runProcess(() => api);
}

/** Threads that a build needs take as long to start as the command line takes to load: both begin at once. */
async function loadApi(purpose: 'build' | 'other'): Promise<TsbuildApi> {
  const api = await import('../index.ts');
  if (purpose === 'other') return api;
  const prepared = await api.prepareBuild();
  return { ...api, build: (request, store) => prepared.build(request, store) };
}

/** Other commands are bare words. A wrong guess only costs time. */
function looksLikeBuild(word: string | undefined): boolean {
  return word !== undefined && (word === 'build' || !/^[a-z]/.test(word)) && word !== '--help' && word !== '-h';
}
