import type { MachineReport } from '../../store-handle.ts';
import type { CommandModule } from '../command.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { formatTable } from '../format-table.ts';
import { formatJson } from '../list-format.ts';

interface DoctorFlags {
  readonly json: 'yes';
}

const doctorFlags: readonly AnyFlag<DoctorFlags>[] = [
  { name: 'json', field: 'json', doc: 'print for programs', parse: () => 'yes' },
];

/** `tsbuild doctor`: what this machine offers. Its status is 1 where nothing can be built. */
export const doctorCommand: CommandModule = {
  flags: doctorFlags,
  operands: { min: 0, max: 0 },
  run: async ({ raw, io, store, loadApi }) => {
    const { json } = parseFlags<DoctorFlags>(doctorFlags, raw, io);
    const report = await (await loadApi()).doctor(store);
    io.stdout.write(json === undefined ? formatReport(report) : formatJson(report));
    return report.verdict === 'can-build' ? 0 : 1;
  },
};

function formatReport({ verdict, store, capabilities, choices }: MachineReport): string {
  const found = formatTable(
    [
      { title: 'FEATURE', cell: ({ name }) => name },
      { title: 'STATE', cell: ({ state, need }) => (state === 'missing' ? `missing (${need})` : state) },
      { title: 'FOUND', cell: ({ detail }) => detail },
      { title: 'FOR', cell: ({ use }) => use },
    ],
    capabilities,
  );
  const chosen = formatTable(
    [
      { title: 'CHOICE', cell: ({ name }) => name },
      { title: 'VALUE', cell: ({ choice }) => choice },
      { title: 'WHY', cell: ({ why }) => why },
    ],
    choices,
  );
  const remedies = capabilities.flatMap(({ name, remedy }) => (remedy === undefined ? [] : [`  ${name}: ${remedy}\n`]));
  return [
    found,
    ...(choices.length === 0 ? [] : ['\n', chosen]),
    ...(remedies.length === 0 ? [] : ['\nTo get what is missing:\n', ...remedies]),
    verdict === 'can-build' ? `\nImages can be built here, in ${store}\n` : '\nImages cannot be built here\n',
  ].join('');
}
