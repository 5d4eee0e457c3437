import type { StoreHandle, TransferOptions } from '../store-handle.ts';
import type { Invocation } from './command.ts';
import { progressFlags, type ProgressFlags } from './common-flags.ts';
import { parseFlags } from './flag.ts';
import { openProgress, resolveMode } from './open-progress.ts';
import { familiarName } from './summary.ts';
import { reportError } from './report-error.ts';

/** Moves one image while progress is shown, then prints its name with its digest. @returns the exit status */
export async function runTransfer(
  { raw, io, store, detail, loadApi }: Invocation,
  transfer: (handle: StoreHandle, o: TransferOptions) => ReturnType<StoreHandle['push']>,
): Promise<number> {
  const { progress: mode = 'auto', quiet } = parseFlags<ProgressFlags>(progressFlags, raw, io);
  const resolved = quiet === undefined ? resolveMode(mode, io) : 'quiet';
  const [progress, api] = await Promise.all([openProgress(resolved, io), loadApi()]);
  try {
    using shown = progress;
    await using handle = await api.openStore(store);
    const { reference, digest } = await transfer(handle, { progress: shown.listener, signal: io.signal });
    shown[Symbol.dispose]();
    io.stdout.write(quiet === undefined ? `${familiarName(reference)} ${digest}\n` : `${digest}\n`);
    return 0;
  } catch (error) {
    return reportError(error, { io, detail, state: progress.state });
  }
}
