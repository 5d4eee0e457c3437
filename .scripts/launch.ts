#!/usr/bin/env node
// dist/tsbuild.js: nothing of tsbuild is loaded before the Node version is known to be good enough to parse it.
import { enableCompileCache } from 'node:module';
import './require-node-24.js';

// The first releases of Node 24 warn about node:sqlite on stderr, which belongs to the build's own messages.
const emitWarning = process.emitWarning.bind(process);
process.emitWarning = (warning: string | Error, ...rest: unknown[]): void => {
  if (!String(warning).startsWith('SQLite is an experimental feature')) {
    Reflect.apply(emitWarning, undefined, [warning, ...rest]);
  }
};

// What V8 compiled last time. The directory belongs to this user alone: whoever can write there can run code as them.
const cache =
  process.env['XDG_CACHE_HOME'] ?? (process.env['HOME'] === undefined ? undefined : `${process.env['HOME']}/.cache`);
if (cache?.startsWith('/') === true) enableCompileCache(`${cache}/tsbuild/compiled`);

await import('../src/cli/main.ts');
