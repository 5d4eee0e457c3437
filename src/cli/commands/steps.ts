import type { RunningStep, StepControl } from '../../core/running-steps.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { cleanLine } from '../control-sequences.ts';
import { parseFlags } from '../flag.ts';
import { formatSize } from '../format-size.ts';
import { formatTable } from '../format-table.ts';
import { formatSeconds } from '../format-time.ts';
import { formatJson, listFlags, type ListFlags } from '../list-format.ts';
import { usageError } from '../usage-error.ts';

const USAGE = 'usage: tsbuild steps ls | freeze ID… | thaw ID… | kill ID…';
const longestCommand = 60;

const done: Readonly<Record<StepControl, string>> = { freeze: 'Frozen', thaw: 'Thawed', kill: 'Killed' };

/** `tsbuild steps …`: the steps that run at this moment, of all builds on the store. */
export const stepsCommand: CommandModule = {
  flags: listFlags,
  operands: { min: 0, max: Infinity },
  run: async (invocation) => {
    const [verb = 'ls', ...ids] = invocation.operands;
    switch (verb) {
      case 'ls':
        return listSteps(invocation);
      case 'freeze':
      case 'thaw':
      case 'kill':
        return controlSteps(verb, ids, invocation);
      default:
        throw usageError(`tsbuild steps: unknown ${JSON.stringify(verb)}`, USAGE);
    }
  },
};

async function listSteps({ raw, io, store, loadApi }: Invocation): Promise<number> {
  const { format = 'table' } = parseFlags<ListFlags>(listFlags, raw, io);
  await using handle = await (await loadApi()).openStore(store);
  const steps = await handle.runningSteps();
  io.stdout.write(format === 'json' ? formatJson(steps) : formatSteps(steps, io.now()));
  return 0;
}

async function controlSteps(
  what: StepControl,
  ids: readonly string[],
  { io, store, loadApi }: Invocation,
): Promise<number> {
  if (ids.length === 0) throw usageError('no step is named', USAGE);
  await using handle = await (await loadApi()).openStore(store);
  for (const id of ids) io.stdout.write(`${done[what]} ${await handle.controlStep(id, what)}\n`);
  return 0;
}

function formatSteps(steps: readonly RunningStep[], nowMs: number): string {
  return formatTable(
    [
      { title: 'ID', cell: ({ id }) => id },
      { title: 'PID', align: 'right', cell: ({ pid }) => String(pid) },
      { title: 'STATE', cell: ({ state }) => state },
      { title: 'AGE', align: 'right', cell: ({ startedMs }) => formatSeconds(nowMs - startedMs) },
      { title: 'CPU', align: 'right', cell: ({ cpuMs }) => (cpuMs === undefined ? '-' : formatSeconds(cpuMs)) },
      {
        title: 'MEMORY',
        align: 'right',
        cell: ({ memoryBytes: bytes }) => (bytes === undefined ? '-' : formatSize(bytes)),
      },
      { title: 'COMMAND', cell: ({ command }) => shorten(command) },
    ],
    steps,
  );
}

/** A command may be a whole script: its first line, as far as it fits. */
function shorten(command: string): string {
  const line = cleanLine(command.split('\n')[0] ?? '', 'strip');
  return line === command && line.length <= longestCommand ? line : `${line.slice(0, longestCommand - 1)}…`;
}
