import * as v from 'valibot';
import { BuildError } from '../core/error.ts';
import { loginHint } from './auth.ts';
import type { Endpoint } from './endpoint.ts';
import type { HttpResponse } from './http-message.ts';
import { discard, readBody } from './transport.ts';

const BODY_LIMIT = 64 * 1024;
const MESSAGE_LIMIT = 300;
/** The distribution-spec's error body. */
const ERRORS = v.object({
  errors: v.array(v.object({ code: v.optional(v.string()), message: v.optional(v.string()) })),
});

/** The error for an answer that nothing can be done with. Reads its body, and quotes what the registry says there. */
export async function refusal(endpoint: Endpoint, response: HttpResponse, what: string): Promise<BuildError> {
  const { status } = response;
  const said = await explanationIn(response);
  const reason = `${what}: ${reasonFor(status)}${said === undefined ? '' : ` (${said})`}`;
  const hint = hintFor(endpoint, status);
  return new BuildError(
    'REGISTRY_REFUSED',
    { registry: nameOf(endpoint), status, reason },
    hint === undefined ? {} : { hint },
  );
}

/** The endpoint as messages name it: the registry, and the server where that is another. */
export function nameOf(endpoint: Endpoint): string {
  const host = endpoint.origin.replace(/^https?:\/\//, '');
  return host === endpoint.registry ? host : `${endpoint.registry} (${host})`;
}

function reasonFor(status: number): string {
  switch (status) {
    case 401:
      return 'the repository does not exist or needs a login';
    case 403:
      return 'access denied';
    case 404:
      return 'not found';
    case 413:
      return 'too large for this registry';
    case 429:
      return 'too many requests';
    default:
      return status >= 500 ? 'the registry failed' : 'not an answer of the distribution-spec';
  }
}

function hintFor(endpoint: Endpoint, status: number): string | undefined {
  if (status === 401 || status === 403) return loginHint(endpoint);
  if (status === 429) return `wait, use a mirror, or raise the limit: ${loginHint(endpoint)}`;
  return undefined;
}

async function explanationIn(response: HttpResponse): Promise<string | undefined> {
  if (response.headers['content-type']?.includes('json') !== true) {
    discard(response);
    return undefined;
  }
  // What cannot be read explains nothing; the status says enough.
  const body = await readBody(response, BODY_LIMIT).catch(() => undefined);
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), ERRORS), body?.toString('utf8') ?? '');
  const first = parsed.success ? parsed.output.errors[0] : undefined;
  const text = [first?.code, first?.message].filter((part) => part !== undefined && part !== '').join(': ');
  return text === '' ? undefined : printable(text);
}

/** Another program's words on one line: without control characters, cut to a bearable length. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ').slice(0, MESSAGE_LIMIT);
}
