import type { CommandModule } from '../command.ts';
import { progressFlags } from '../common-flags.ts';
import { runTransfer } from '../run-transfer.ts';

/** `tsbuild push`: an image of the store to the registry of its name. */
export const pushCommand: CommandModule = {
  flags: progressFlags,
  operands: { min: 1, max: 1 },
  run: (invocation) => runTransfer(invocation, (handle, o) => handle.push(invocation.operands[0] ?? '', o)),
};
