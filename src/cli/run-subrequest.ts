import type { BuildRequest } from '../build-request.ts';
import type { OutlineResult, TargetsResult } from '../store-handle.ts';
import type { Invocation } from './command.ts';
import { cleanText } from './control-sequences.ts';
import { formatTable } from './format-table.ts';
import type { Call } from './parse-call.ts';
import { reportError } from './report-error.ts';

/** How a question about a Dockerfile is asked. */
export interface SubrequestOptions extends Pick<Invocation, 'io' | 'store' | 'loadApi' | 'detail'> {
  readonly call: Call;
}

/** Prints the outline of a target, or the targets of a Dockerfile. @returns the exit status */
export async function runSubrequest(
  request: BuildRequest,
  { call, io, store, loadApi, detail }: SubrequestOptions,
): Promise<number> {
  try {
    const api = await loadApi();
    const answer = call.method === 'outline' ? await api.outline(request, store) : await api.targets(request, store);
    if (call.format === 'json') io.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`);
    else io.stdout.write('targets' in answer ? formatTargets(answer) : formatOutline(answer));
    return 0;
  } catch (error) {
    return reportError(error, { io, detail, request });
  }
}

function formatTargets({ targets }: TargetsResult): string {
  return formatTable(
    [
      { title: 'TARGET', cell: (target) => `${target.name ?? '(unnamed)'}${target.default ? ' (default)' : ''}` },
      { title: 'BASE', cell: ({ base }) => base ?? '' },
      { title: 'DESCRIPTION', cell: ({ description }) => description ?? '' },
    ],
    targets,
  );
}

function formatOutline({ name, description, args, secrets, ssh, cache }: OutlineResult): string {
  const head = [
    ...(name === undefined ? [] : [`TARGET:      ${name}\n`]),
    ...(description === undefined ? [] : [`DESCRIPTION: ${description}\n`]),
  ];
  const required = { title: 'REQUIRED', cell: (row: { readonly required: boolean }) => (row.required ? 'yes' : 'no') };
  const tables = [
    args.length === 0
      ? ''
      : formatTable(
          [
            { title: 'BUILD ARG', cell: (row) => row.name },
            { title: 'VALUE', cell: ({ value }) => value ?? '' },
            { title: 'DESCRIPTION', cell: (row) => row.description ?? '' },
          ],
          args,
        ),
    secrets.length === 0 ? '' : formatTable([{ title: 'SECRET', cell: (row) => row.name }, required], secrets),
    ssh.length === 0 ? '' : formatTable([{ title: 'SSH', cell: (row) => row.name }, required], ssh),
    cache.length === 0
      ? ''
      : formatTable(
          [
            { title: 'CACHE MOUNT', cell: ({ id }) => id },
            { title: 'TARGET', cell: ({ target }) => target },
            { title: 'SHARING', cell: ({ sharing }) => sharing },
          ],
          cache,
        ),
  ];
  return [cleanText(head.join('')), ...tables].filter((part) => part !== '').join('\n');
}
