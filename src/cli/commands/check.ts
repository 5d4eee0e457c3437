import { buildFlags, type BuildFlags } from '../build-flags.ts';
import type { CommandModule } from '../command.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { parseFormat, type Call } from '../parse-call.ts';
import { runCheck } from '../run-check.ts';
import { runSubrequest } from '../run-subrequest.ts';
import { usageError } from '../usage-error.ts';
import { readRequest } from './build.ts';

interface CheckFlags {
  readonly format: Call['format'];
  readonly fix: 'yes';
}

const checkFlags: readonly AnyFlag<CheckFlags>[] = [
  {
    name: 'format',
    value: 'text|json|sarif',
    field: 'format',
    doc: 'how findings are printed (default: text)',
    parse: (texts) => parseFormat('check', texts.at(-1) ?? ''),
  },
  {
    name: 'fix',
    field: 'fix',
    doc: 'change the Dockerfile where a finding can be mended mechanically',
    parse: () => 'yes',
  },
];

const inputNames = ['call', 'file', 'target', 'build-arg', 'build-context', 'platform'];
const inputFlags = buildFlags.filter(({ name }) => inputNames.includes(name));

/** `tsbuild check`: the findings of a Dockerfile; exit status 1 where there are any. */
export const checkCommand: CommandModule = {
  flags: [...checkFlags, ...inputFlags],
  operands: { min: 0, max: 1 },
  run: async (invocation) => {
    const { raw, io, operands } = invocation;
    const { format = 'text', fix = 'no' } = parseFlags<CheckFlags>(checkFlags, raw, io);
    const inputs = parseFlags<BuildFlags>(inputFlags, raw, io);
    const { call } = inputs;
    if (call?.method === 'build') throw usageError('--call=build: check builds nothing', 'use tsbuild build');
    const request = await readRequest(operands[0] ?? '.', inputs, invocation);
    if (call === undefined || call.method === 'check') {
      return runCheck(request, { ...invocation, format: call?.format ?? format, fix });
    }
    return runSubrequest(request, { ...invocation, call });
  },
};
