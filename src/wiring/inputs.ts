import { join } from 'node:path';
import type { BuildRequest } from '../build-request.ts';
import { BuildError } from '../core/error.ts';
import { IgnoreMatcher } from '../core/glob.ts';
import { parseBool } from '../core/parse-bool.ts';
import type { ProgressListener } from '../core/progress.ts';
import type { GitSource, HttpSource, Secrets } from '../core/source.ts';
import type { LocalTree } from '../core/tree.ts';
import type { Dockerfile } from '../../frontend/ast.ts';
import type { NamedContext, TreeContext } from '../../frontend/lower-request.ts';
import { parseDockerfile, type ParseResult } from '../../frontend/parse.ts';
import { decompressByProgram } from '../../sandbox/decompress-program.ts';
import { internalStep } from './internal-step.ts';
import type { DockerfileText } from '../source/dockerfile-file.ts';
import { openGitSource } from '../source/git.ts';
import type { HttpClient } from '../source/http-client.ts';
import { openHttpSource } from '../source/http.ts';
import { imageContext, openContext, type BuildContext, type ContextPorts } from '../source/local-context.ts';
import { openSecrets } from '../source/secrets.ts';
import type { Workers } from './workers.ts';

/** Everything that a build reads from outside, besides images. Disposing it removes what was unpacked for the build. */
export interface BuildInputs extends AsyncDisposable {
  readonly dockerfile: DockerfileText;
  /** The context and the named contexts that are trees. */
  readonly locals: ReadonlyMap<string, LocalTree>;
  readonly mainContext: TreeContext;
  readonly namedContexts: ReadonlyMap<string, NamedContext>;
  /** What the main context's ignore file excludes; absent where there is none. */
  readonly ignore?: IgnoreMatcher;
  readonly http: HttpSource;
  readonly git: GitSource;
  readonly secrets: Secrets;
}

/** Opens the contexts and finds the Dockerfile. @throws CONTEXT_NOT_FOUND, DOCKERFILE_NOT_FOUND, ARCHIVE_INVALID, DOWNLOAD_FAILED, GIT_FAILED */
export async function openInputs(
  request: BuildRequest,
  o: {
    readonly workers: Pick<Workers, 'state' | 'downloads' | 'checkouts'>;
    readonly emit: ProgressListener;
    readonly signal: AbortSignal;
  },
): Promise<BuildInputs> {
  await using opened = new AsyncDisposableStack();
  const downloads = new AsyncDisposableStack();
  const { state, downloads: trees, checkouts } = o.workers;
  const { secrets: given = [], ssh = [] } = request;
  const { tmp } = state;
  const secrets = opened.use(openSecrets({ secrets: given, ssh, env: process.env, cwd: process.cwd(), tmp }));
  const client = lazyHttpClient(downloads);
  const http = openHttpSource({ http: client, secrets, trees, urls: join(state.http, 'urls'), tmp });
  const git = openGitSource({ secrets, trees: checkouts, tmp });
  const ports: ContextPorts = { git, http: client, parseIgnoreFile: ignorePatterns, decompressByProgram, tmp };
  const main = await openMain(request, { ...o, ports, opened });
  const { locals, namedContexts } = await openNamed(request, { ...o, ports, opened });
  const owned = opened.move();
  owned.use(downloads);
  return {
    dockerfile: main.dockerfile ?? { bytes: new Uint8Array(), path: 'Dockerfile' },
    locals: new Map([['context', main.tree], ...locals]),
    mainContext: treeContext(main),
    namedContexts,
    ...ignoredBy(main.tree),
    http,
    git,
    secrets,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The Dockerfile's syntax tree. @throws DOCKERFILE_INVALID with everything that is wrong */
export function parseInputs(inputs: Pick<BuildInputs, 'dockerfile'>, request: BuildRequest): Dockerfile {
  const { dockerfile, diagnostics } = parseText(inputs, request);
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new BuildError('DOCKERFILE_INVALID', { file: dockerfile.file, diagnostics: errors });
  return dockerfile;
}

/** The syntax tree together with what is wrong in it. BUILDKIT_SYNTAX overrides the file's own directive. */
export function parseText(
  { dockerfile: { bytes, path } }: Pick<BuildInputs, 'dockerfile'>,
  request: BuildRequest,
): ParseResult {
  const syntax = request.buildArgs?.get('BUILDKIT_SYNTAX');
  return parseDockerfile(bytes, { file: path, ...(syntax === undefined ? {} : { syntax }) });
}

interface Opening {
  readonly ports: ContextPorts;
  readonly opened: AsyncDisposableStack;
  readonly emit: ProgressListener;
  readonly signal: AbortSignal;
}

function openMain(request: BuildRequest, { ports, opened, emit, signal }: Opening): Promise<BuildContext> {
  const name = '[internal] load build definition';
  return internalStep({ id: name, name }, emit, async () => {
    const { context: input, dockerfile = { kind: 'default' } } = request;
    const gitDir = parseBool(request.buildArgs?.get('BUILDKIT_CONTEXT_KEEP_GIT_DIR') ?? '') === true ? 'keep' : 'drop';
    return opened.use(
      await openContext(ports, { name: 'context', input, dockerfile, gitDir, cwd: process.cwd(), signal }),
    );
  });
}

async function openNamed(
  { buildContexts = new Map() }: BuildRequest,
  { ports, opened, signal }: Opening,
): Promise<Pick<BuildInputs, 'locals' | 'namedContexts'>> {
  const locals = new Map<string, LocalTree>();
  const namedContexts = new Map<string, NamedContext>();
  for (const [name, location] of buildContexts) {
    const reference = imageContext(location);
    if (reference !== undefined) {
      namedContexts.set(name, { kind: 'image', reference });
      continue;
    }
    const input = { kind: 'location', location } as const;
    const context = opened.use(await openContext(ports, { name, input, cwd: process.cwd(), signal }));
    namedContexts.set(name, treeContext(context));
    locals.set(name, context.tree);
  }
  return { locals, namedContexts };
}

function treeContext({ origin }: BuildContext): TreeContext {
  return { kind: 'local', ...(origin === 'fetched' && { fetched: 'yes' }) };
}

function ignorePatterns(text: Uint8Array): Required<Pick<LocalTree, 'ignore' | 'ignoreLines'>> {
  const { patterns, lines } = IgnoreMatcher.parse(Buffer.from(text).toString());
  return { ignore: patterns, ignoreLines: lines };
}

function ignoredBy({ ignore }: LocalTree): Pick<BuildInputs, 'ignore'> {
  return ignore.length === 0 ? {} : { ignore: new IgnoreMatcher(ignore) };
}

/** Most builds download nothing: the transport is loaded with the first request. */
function lazyHttpClient(opened: AsyncDisposableStack): HttpClient {
  let client: Promise<HttpClient> | undefined;
  const open = async (): Promise<HttpClient> => {
    const { openTransport } = await import('../registry/transport.ts');
    return opened.use(openTransport({ userAgent: 'tsbuild' }));
  };
  return { send: async (request) => (await (client ??= open())).send(request) };
}
