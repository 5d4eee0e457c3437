import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { describeWith } from '../support/requires.ts';
import { openTerminal } from './terminal.ts';

interface Started {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  /** Waits until standard error holds `text`. */
  readonly stderr: (text: string) => Promise<string>;
  readonly status: Promise<number | null>;
}

function start(script: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}): Started {
  const child = spawn(process.execPath, [resolve(import.meta.dirname, script), ...argv], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const status = once(child, 'exit').then(([code]) => code as number | null);
  const stderr = async (wanted: string): Promise<string> => {
    while (!text.includes(wanted)) await once(child.stderr, 'data');
    return text;
  };
  return { child, stderr, status };
}

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('process: %s lets the build clean up, then ends with %i', async (signal, status) => {
  const started = start('process-player.ts', ['--progress=none', '.']);
  await started.stderr('ready');
  started.child.kill(signal);
  expect(await started.status).toBe(status);
  expect(await started.stderr('canceled')).toBe(`ready\ncleaning\nclean\ncanceled: interrupted by ${signal}\n`);
});

test('process: a second signal does not wait for the cleaning', async () => {
  const started = start('process-player.ts', ['--progress=none', '.'], { FAKE_CLEANUP_MS: '50000' });
  await started.stderr('ready');
  started.child.kill('SIGINT');
  await started.stderr('cleaning');
  started.child.kill('SIGINT');
  expect(await started.status).toBe(130);
  expect(await started.stderr('')).not.toContain('clean\n');
});

test('process: a build whose output nobody reads any more is stopped', async () => {
  const started = start('process-player.ts', ['--progress=none', '-o', '-', '.'], { FAKE_OUTPUT: '1' });
  await once(started.child.stdout, 'data');
  started.child.stdout.destroy();
  expect(await started.status).toBe(141);
  expect(await started.stderr('clean\n')).toBe('cleaning\nclean\n');
});

test('process: --version and usage errors', async () => {
  const main = '../../src/cli/main.ts';
  const version = start(main, ['--version']);
  expect(String((await once(version.child.stdout, 'data'))[0])).toMatch(/^tsbuild \d+\.\d+\.\d+\n$/);
  expect(await version.status).toBe(0);
  expect(await start(main, ['--nonsense', '.']).status).toBe(2);
});

test('process: what cannot be loaded is told as any other failure', async () => {
  const hook =
    'import { registerHooks } from "node:module";' +
    'registerHooks({ load(url, context, next) {' +
    '  if (url.endsWith("/src/index.ts")) throw new Error("the build cannot be loaded");' +
    '  return next(url, context);' +
    '} });';
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(hook)}`;
  const started = start('../../src/cli/main.ts', ['--progress=none', '.'], { NODE_OPTIONS });
  expect(await started.status).toBe(1);
  expect(await started.stderr('loaded')).toMatch(/^error INTERNAL: the build cannot be loaded$/m);
  expect(await started.stderr('loaded')).not.toMatch(/Node\.js v|\n +at /);
});

describeWith(['tmux'], 'process in a terminal', () => {
  test('Ctrl-C leaves the last frame and says that the build was canceled', async () => {
    await using terminal = await openTerminal({ columns: 60, rows: 10 });
    await terminal.start([process.execPath, resolve(import.meta.dirname, 'process-player.ts'), '.']);
    await terminal.screen((text) => text.includes('=> RUN sleep') && text.includes('ready'));
    await terminal.press('C-c');
    expect(await terminal.status()).toBe(130);
    const screen = await terminal.screen((text) => text.includes('canceled'));
    expect(screen).toMatch(
      /clean\n\[\+\] Building \d+\.\ds \(0\/1\) CANCELED\n => RUN sleep +\d+\.\ds\ncanceled: interrupted by SIGINT/,
    );
    expect(screen.match(/\[\+\]/g)).toHaveLength(1);
  });
});
