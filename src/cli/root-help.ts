import { commandTable } from './command-table.ts';

/** What `tsbuild --help` prints. */
export function formatRootHelp(): string {
  const width = Math.max(...commandTable.map(({ name }) => name.length));
  return [
    'Usage: tsbuild [build] [options] PATH | URL | -',
    '       tsbuild COMMAND [options] …',
    '',
    'Builds container images from Dockerfiles, without a daemon.',
    '',
    'Commands:',
    ...commandTable.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Examples:',
    '  tsbuild -t app:v1 .                           build into the store',
    '  tsbuild -o type=oci,dest=app.tar .            build to an OCI archive',
    '  tsbuild -t registry.example/app --push .      build and push',
    '',
    'tsbuild COMMAND --help shows the options of a command; those of build are also options of tsbuild itself.',
    '',
  ].join('\n');
}
