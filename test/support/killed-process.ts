import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { CacheKey } from '../../src/core/cache.ts';
import { validateImage } from '../../src/export/validate-image.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { openStore, type OpenStore } from './store-rig.ts';

/** What a process does to a store, and where it is to be killed. */
export interface ProcessOptions {
  readonly store: string;
  readonly failpoint?: string;
}

/** A process that writes images. */
export interface WriterOptions extends ProcessOptions {
  readonly prefix: string;
  readonly count: number;
}

/** How a process ended, and what it had said by then. */
export interface ProcessEnd {
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly string[];
}

/** A process under way. */
export interface StartedProcess {
  readonly child: ChildProcess;
  readonly end: Promise<ProcessEnd>;
  /** Waits until it has printed so many lines. */
  reached(lines: number): Promise<void>;
}

/** Starts a writer of images. */
export function startWriter({ prefix, count, ...o }: WriterOptions): StartedProcess {
  return start(new URL('./store-writer.ts', import.meta.url), o, [prefix, String(count)]);
}

/** Runs a writer to its end. */
export function runWriter(o: WriterOptions): Promise<ProcessEnd> {
  return startWriter(o).end;
}

/** Runs a prune to its end. */
export function runPruner(o: ProcessOptions & { readonly scope: 'unused' | 'all' }): Promise<ProcessEnd> {
  return start(new URL('./store-pruner.ts', import.meta.url), o, [o.scope]).end;
}

function start(script: URL, { store, failpoint }: ProcessOptions, args: readonly string[]): StartedProcess {
  const child = spawn(process.execPath, ['--no-warnings', fileURLToPath(script), store, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TSBUILD_FAILPOINT: failpoint ?? '' },
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const linesSoFar = (): readonly string[] => text.split('\n').slice(0, -1);
  const end = once(child, 'close').then(([, signal]) => ({
    signal: signal as NodeJS.Signals | null,
    lines: linesSoFar(),
  }));
  return {
    child,
    end,
    reached: async (lines) => {
      while (linesSoFar().length < lines) await once(child.stdout, 'data');
    },
  };
}

/** Every blob is what its name says, every image whole, every acknowledged thing there, and nothing of the dead is left. */
export async function expectSound(path: string, lines: readonly string[]): Promise<void> {
  await using store = await openStore(path);
  for await (const blob of store.content.list()) {
    for await (const _ of store.content.read(blob)) continue;
  }
  for (const { image } of await store.names.list()) expect(await validateImage(store.content, image)).toEqual([]);
  for (const line of lines) {
    const [kind, what = ''] = line.split(' ');
    if (kind === 'blob')
      expect(await validateImage(store.content, await describeImage(store, what as Digest))).toEqual([]);
    if (kind === 'record') expect((await store.cache.lookup(digestOf(what) as CacheKey))?.fields).toBe(what);
    if (kind === 'name') expect(await store.names.lookup(`docker.io/library/app:${what}`)).toBeDefined();
  }
  expect(readdirSync(join(path, 'tmp'))).toHaveLength(1);
  expect(readdirSync(path).filter((name) => name.startsWith('.'))).toEqual([]);
}

async function describeImage(store: OpenStore, digest: Digest): Promise<Descriptor> {
  const blob = await store.content.lookup(digest);
  expect(blob).toBeDefined();
  return { mediaType: MediaTypes.manifest, ...blob! };
}
