import type { CommandModule } from '../command.ts';
import { progressFlags } from '../common-flags.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { parsePlatforms } from '../parse-platforms.ts';
import { runTransfer } from '../run-transfer.ts';

interface PullFlags {
  readonly platform: string | undefined;
}

const pullFlags: readonly AnyFlag<PullFlags>[] = [
  {
    name: 'platform',
    value: 'OS/ARCH',
    field: 'platform',
    doc: "fetch this platform's image (default: this machine's)",
    parse: (texts) => parsePlatforms(texts.slice(-1))[0],
  },
];

/** `tsbuild pull`: an image from a registry into the store. */
export const pullCommand: CommandModule = {
  flags: [...pullFlags, ...progressFlags],
  operands: { min: 1, max: 1 },
  run: (invocation) => {
    const { platform } = parseFlags<PullFlags>(pullFlags, invocation.raw, invocation.io);
    return runTransfer(invocation, (handle, o) => handle.pull(invocation.operands[0] ?? '', { ...o, platform }));
  },
};
