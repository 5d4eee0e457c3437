#!/usr/bin/env node
// dist/tsbuild.js: nothing of tsbuild is loaded before the Node version is known to be good enough to parse it.
import './require-node-24.js';

// The first releases of Node 24 warn about node:sqlite on stderr, which belongs to the build's own messages.
const emitWarning = process.emitWarning.bind(process);
process.emitWarning = (warning: string | Error, ...rest: unknown[]): void => {
  if (!String(warning).startsWith('SQLite is an experimental feature')) {
    Reflect.apply(emitWarning, undefined, [warning, ...rest]);
  }
};

await import('../src/cli/main.ts');
