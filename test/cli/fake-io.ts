import { Writable } from 'node:stream';
import type { CliIo } from '../../src/cli/cli-io.ts';
import type { StoreHandle, TsbuildApi } from '../../src/store-handle.ts';

/** A stream that keeps what was written to it. */
export class MemoryStream extends Writable {
  readonly isTTY: boolean;
  readonly columns = 80;
  readonly rows = 24;
  text = '';

  constructor(kind: 'terminal' | 'pipe' = 'pipe') {
    super();
    this.isTTY = kind === 'terminal';
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

export interface FakeIo extends CliIo {
  readonly stdout: MemoryStream;
  readonly stderr: MemoryStream;
}

/** A process that is none; its home holds no configuration. */
export function fakeIo(o: Partial<Omit<CliIo, 'stdin'>> & { readonly stdin?: string | Uint8Array } = {}): FakeIo {
  return {
    env: { HOME: '/nonexistent' },
    now: () => Date.UTC(2026, 0, 2),
    signal: new AbortController().signal,
    ...o,
    stdin: chunksOf(o.stdin ?? ''),
    stdout: o.stdout instanceof MemoryStream ? o.stdout : new MemoryStream(),
    stderr: o.stderr instanceof MemoryStream ? o.stderr : new MemoryStream(),
  };
}

async function* chunksOf(input: string | Uint8Array): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(input);
  // Small chunks, so that nobody may rely on getting all at once.
  for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
}

const unexpected = (name: string) => (): never => {
  throw new Error(`unexpected call of ${name}`);
};

/** An API that fails on every call but those given. */
export function fakeApi(
  o: Partial<TsbuildApi> & { readonly handle?: Partial<StoreHandle> },
): () => Promise<TsbuildApi> {
  const { handle, ...api } = o;
  const openStore = (): Promise<StoreHandle> => Promise.resolve(fakeHandle(handle ?? {}));
  return () =>
    Promise.resolve({
      build: unexpected('build'),
      check: unexpected('check'),
      outline: unexpected('outline'),
      targets: unexpected('targets'),
      explain: unexpected('explain'),
      plan: unexpected('plan'),
      doctor: unexpected('doctor'),
      openStore: handle === undefined ? unexpected('openStore') : openStore,
      ...api,
    });
}

function fakeHandle(handle: Partial<StoreHandle>): StoreHandle {
  return {
    images: unexpected('images'),
    tag: unexpected('tag'),
    remove: unexpected('remove'),
    inspect: unexpected('inspect'),
    load: unexpected('load'),
    save: unexpected('save'),
    push: unexpected('push'),
    pull: unexpected('pull'),
    prune: unexpected('prune'),
    diskUsage: unexpected('diskUsage'),
    records: unexpected('records'),
    verify: unexpected('verify'),
    cacheMounts: unexpected('cacheMounts'),
    removeCacheMount: unexpected('removeCacheMount'),
    exportCacheMount: unexpected('exportCacheMount'),
    importCacheMount: unexpected('importCacheMount'),
    runningSteps: unexpected('runningSteps'),
    controlStep: unexpected('controlStep'),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...handle,
  };
}
