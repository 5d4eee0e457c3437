import { randomUUID } from 'node:crypto';
import { lstat, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { BuildError, isBuildError, isErrno, messageOf } from '../core/error.ts';
import type { FetchedTree, FetchedTrees, HttpSource, Secrets } from '../core/source.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Digest, Digester, digestHex, digestOf, isDigest } from '../oci/digest.ts';
import { type HttpAnswer, type HttpClient, headerIn } from './http-client.ts';
import { redactUrl } from './redact.ts';
import { SharedTasks } from './shared-task.ts';

/** What downloads work with. */
export interface HttpSourcePorts {
  readonly http: HttpClient;
  /** HTTP_AUTH_HEADER_<host> and HTTP_AUTH_TOKEN_<host> are looked up here. */
  readonly secrets: Pick<Secrets, 'lookup'>;
  readonly trees: FetchedTrees;
  /** Where it is kept what is known of each URL. */
  readonly urls: string;
  /** A directory on the same file system as both for what is not yet complete. */
  readonly tmp: string;
}

type FetchRequest = Parameters<HttpSource['fetch']>[0];

const RECORD = v.object({
  etag: v.optional(v.string()),
  lastModified: v.optional(v.string()),
  digest: v.pipe(v.string(), v.guard(isDigest)),
  size: v.number(),
});

/** What was downloaded from a URL last time. */
type Download = v.InferOutput<typeof RECORD>;

/** As ADD gives it to files from the network. */
const FILE_MODE = 0o600;
const BODY_ATTEMPTS = 3;

/**
 * Downloads that are kept, each file as a tree of its own, and with them what is known of each URL, so that the next build asks with
 * If-None-Match or If-Modified-Since only.
 */
export function openHttpSource(ports: HttpSourcePorts): HttpSource {
  const fetches = new SharedTasks<string, FetchedTree>();
  return {
    fetch: (request) =>
      fetches.run(
        canonicalJson([request.url, request.filename, request.checksum ?? null]),
        (signal) => fetchFile(ports, { ...request, signal }),
        request.signal,
      ),
  };
}

async function fetchFile(ports: HttpSourcePorts, request: FetchRequest): Promise<FetchedTree> {
  const target = parseTarget(request);
  const recordPath = join(ports.urls, `${digestHex(digestOf(request.url))}.json`);
  const record = await readRecord(recordPath);
  const known = record === undefined ? undefined : await lookupTree(ports, record, request);
  if (known !== undefined && request.checksum === record?.digest) return known;
  const answer = await ask(ports, target, { request, record: known === undefined ? undefined : record });
  if (answer.status === 304 && known !== undefined && record !== undefined) {
    answer.body.destroy();
    verify(record.digest, request);
    return known;
  }
  const { tree, download } = await store(ports, target, { request, answer });
  await replace(ports, recordPath, JSON.stringify(download));
  return tree;
}

interface Target {
  readonly url: URL;
  readonly authorization: string | undefined;
}

function parseTarget({ url: text, filename }: FetchRequest): Target {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new BuildError('DOWNLOAD_FAILED', { url: redactUrl(text), reason: 'it is no http or https URL' });
  }
  if (filename === '' || filename === '.' || filename === '..' || /[/\0]/.test(filename)) {
    throw new BuildError('PATH_INVALID', { path: filename, reason: 'is no name for a downloaded file' });
  }
  const { username, password } = url;
  url.username = '';
  url.password = '';
  if (username === '' && password === '') return { url, authorization: undefined };
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { url, authorization: `Basic ${Buffer.from(login).toString('base64')}` };
}

async function ask(
  ports: HttpSourcePorts,
  target: Target,
  { request, record }: { readonly request: FetchRequest; readonly record: Download | undefined },
): Promise<HttpAnswer> {
  const headers = {
    ...(record?.etag !== undefined && { 'if-none-match': record.etag }),
    ...(record?.etag === undefined &&
      record?.lastModified !== undefined && { 'if-modified-since': record.lastModified }),
  };
  const authorization = (await authorizationFor(ports, target.url)) ?? target.authorization;
  const { url } = target;
  const answer = await ports.http
    .send({ method: 'GET', url, headers, authorization, repeat: 'safe', signal: request.signal })
    .catch((error: unknown) => {
      request.signal?.throwIfAborted();
      throw failed(request, messageOf(error), error);
    });
  if (answer.status === 200 || (answer.status === 304 && record !== undefined)) return answer;
  answer.body.destroy();
  throw failed(request, `the server answered ${answer.status}`);
}

async function authorizationFor({ secrets }: HttpSourcePorts, url: URL): Promise<string | undefined> {
  const header = await secrets.lookup(`HTTP_AUTH_HEADER_${url.host}`);
  if (header !== undefined) return Buffer.from(header).toString('utf8').trim();
  const token = await secrets.lookup(`HTTP_AUTH_TOKEN_${url.host}`);
  return token === undefined ? undefined : `Bearer ${Buffer.from(token).toString('utf8').trim()}`;
}

/** Downloads, verifies and publishes; a body that breaks off is asked for again. */
async function store(
  ports: HttpSourcePorts,
  target: Target,
  { request, answer: first }: { readonly request: FetchRequest; readonly answer: HttpAnswer },
): Promise<{ readonly tree: FetchedTree; readonly download: Download }> {
  let answer = first;
  for (let attempt = 1; ; attempt++) {
    const draft = join(ports.tmp, `http-${randomUUID()}`);
    try {
      await mkdir(draft, { recursive: true, mode: 0o700 });
      const written = await writeBody(answer, join(draft, request.filename), request.signal);
      verify(written.digest, request);
      const etag = headerIn(answer, 'etag');
      const lastModified = headerIn(answer, 'last-modified');
      const download = {
        ...written,
        ...(etag !== undefined && { etag }),
        ...(lastModified !== undefined && { lastModified }),
      };
      return { tree: await publish(ports, draft, { request, download }), download };
    } catch (error) {
      await rm(draft, { recursive: true, force: true });
      request.signal?.throwIfAborted();
      if (isErrno(error, 'ENOSPC', 'EDQUOT')) throw new BuildError('STORE_FULL', { path: ports.tmp }, { cause: error });
      if (isBuildError(error) || isErrno(error, 'EACCES', 'EROFS')) throw error;
      if (attempt === BODY_ATTEMPTS) throw failed(request, messageOf(error), error);
      answer = await ask(ports, target, { request, record: undefined });
    }
  }
}

async function writeBody(
  answer: HttpAnswer,
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly digest: Digest; readonly size: number }> {
  await using file = await open(path, 'wx', FILE_MODE);
  const digester = new Digester();
  for await (const chunk of answer.body) {
    signal?.throwIfAborted();
    digester.update(chunk);
    await file.writeFile(chunk);
  }
  const seconds = modifiedSeconds(headerIn(answer, 'last-modified'));
  await file.chmod(FILE_MODE);
  await file.utimes(seconds, seconds);
  await file.sync();
  return { size: digester.size, digest: digester.digest() };
}

function modifiedSeconds(lastModified: string | undefined): number {
  const atMs = lastModified === undefined ? Number.NaN : Date.parse(lastModified);
  return Number.isNaN(atMs) ? 0 : Math.floor(atMs / 1000);
}

async function publish(
  ports: HttpSourcePorts,
  draft: string,
  { request, download }: { readonly request: FetchRequest; readonly download: Download },
): Promise<FetchedTree> {
  const identity = identityOf(request, download);
  return treeAt(await ports.trees.publish(identity, draft), identity, request);
}

function identityOf({ filename }: FetchRequest, { digest, lastModified }: Download): Digest {
  return digestOf(canonicalJson(['http', filename, FILE_MODE, digest, modifiedSeconds(lastModified)]));
}

function treeAt(root: string, identity: Digest, { url }: FetchRequest): FetchedTree {
  return { identity, tree: { kind: 'local', name: redactUrl(url), root, ignore: [] } };
}

/** The tree of an earlier download under this file name, if it is still there, whole. */
async function lookupTree(
  ports: HttpSourcePorts,
  record: Download,
  request: FetchRequest,
): Promise<FetchedTree | undefined> {
  const identity = identityOf(request, record);
  const root = await ports.trees.lookup(identity);
  if (root === undefined) return undefined;
  try {
    const file = await lstat(join(root, request.filename));
    return file.isFile() && file.size === record.size ? treeAt(root, identity, request) : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function readRecord(path: string): Promise<Download | undefined> {
  try {
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), RECORD), await readFile(path, 'utf8'));
    // What another version wrote, or half of it, counts as nothing: the file is downloaded again.
    return parsed.success ? parsed.output : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function replace({ urls, tmp }: HttpSourcePorts, path: string, text: string): Promise<void> {
  const draft = join(tmp, `http-${randomUUID()}.json`);
  await mkdir(urls, { recursive: true, mode: 0o700 });
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, path);
}

function verify(actual: Digest, { url, checksum }: FetchRequest): void {
  if (checksum === undefined || checksum === actual) return;
  throw new BuildError('DIGEST_MISMATCH', { what: redactUrl(url), expected: checksum, actual });
}

function failed({ url }: FetchRequest, reason: string, cause?: unknown): BuildError {
  return new BuildError('DOWNLOAD_FAILED', { url: redactUrl(url), reason }, { cause });
}
