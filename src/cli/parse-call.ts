import { parseFields } from './parse-fields.ts';
import { parseChoice } from './parse-key-value.ts';
import { usageError } from './usage-error.ts';

/** What to do with a Dockerfile instead of building it, and how to print the answer. */
export interface Call {
  readonly method: 'build' | 'check' | 'outline' | 'targets';
  readonly format: 'text' | 'json' | 'sarif';
}

/** `METHOD[,format=FORMAT]`; buildx's `subrequest.` names and `lint` are understood. */
export function parseCall(text: string): Call {
  const [first, ...options] = parseFields('--call', text);
  const name = (first?.key ?? '').replace(/^(subrequests|frontend)\./, '');
  const method = parseChoice('--call', name === 'lint' ? 'check' : name, ['build', 'check', 'outline', 'targets']);
  const unknown = options.find(({ key }) => key !== 'format');
  if (unknown !== undefined)
    throw usageError(`--call: unknown option ${JSON.stringify(unknown.key)}`, 'write format=json');
  return { method, format: parseFormat(method, options.at(-1)?.value ?? 'text') };
}

/** A format that `method` can be printed in. */
export function parseFormat(method: Call['method'], text: string): Call['format'] {
  return parseChoice('format', text, method === 'check' ? ['text', 'json', 'sarif'] : ['text', 'json']);
}
