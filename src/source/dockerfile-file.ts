import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { BuildError, isErrno, messageOf } from '../core/error.ts';
import type { HttpClient } from './http-client.ts';
import { resolveInTree } from './path-in-tree.ts';
import { readRegularFile } from './regular-file.ts';
import { redactUrl } from './redact.ts';

/** Which Dockerfile is meant. */
export type DockerfileInput =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'text'; readonly name: string; readonly text: Uint8Array }
  | { readonly kind: 'default' };

/** A Dockerfile's text. */
export interface DockerfileText {
  readonly bytes: Uint8Array;
  /** As the user gave it, for messages. */
  readonly path: string;
}

/** A Dockerfile found, and where its own ignore file would be. */
export interface FoundDockerfile extends DockerfileText {
  readonly ignore?: { readonly path: string; readonly name: string };
}

/** Where Dockerfiles are looked for. */
export interface DockerfilePlace {
  /** The context's directory. */
  readonly root: string;
  /** `host`: a named Dockerfile is a path of the host, relative to `cwd`. `tree`: it is one of the context's files. */
  readonly named: { readonly in: 'host'; readonly cwd: string } | { readonly in: 'tree' };
  readonly http: HttpClient;
  readonly signal?: AbortSignal | undefined;
}

/** More than any Dockerfile has; keeps a device or an endless download from filling the memory. */
const SIZE_LIMIT = 4 * 1024 * 1024;
const DEFAULT_NAMES = ['Dockerfile', 'dockerfile', 'Containerfile'] as const;

/** The Dockerfile that `input` means. @throws DOCKERFILE_NOT_FOUND; DOCUMENT_INVALID for one too large; DOWNLOAD_FAILED */
export async function readDockerfile(input: DockerfileInput, place: DockerfilePlace): Promise<FoundDockerfile> {
  switch (input.kind) {
    case 'text':
      return { bytes: input.text, path: input.name };
    case 'path':
      if (/^https?:\/\//i.test(input.path)) return download(input.path, place);
      return place.named.in === 'host' ? readHostFile(input.path, place.named.cwd) : readTreeFile(input.path, place);
    case 'default':
      return readDefault(place);
  }
}

/** The text of an ignore file in a tree; `undefined` where there is none. */
export async function readIgnoreFile(root: string, name: string): Promise<Uint8Array | undefined> {
  const path = await resolveInTree(root, name);
  return path === undefined ? undefined : limited(await readRegularFile(path, SIZE_LIMIT), name);
}

/** The text of the ignore file that belongs to a Dockerfile; `undefined` where there is none. */
export async function readHostIgnoreFile(path: string): Promise<Uint8Array | undefined> {
  try {
    return limited(await readFile(path), path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function readHostFile(path: string, cwd: string): Promise<FoundDockerfile> {
  const absolute = resolve(cwd, path);
  try {
    // The user's own words: links and pipes (`-f <(generate)`) are fine.
    const bytes = limited(await readFile(absolute), path);
    return { bytes, path, ignore: { path: `${absolute}.dockerignore`, name: `${basename(path)}.dockerignore` } };
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) {
      throw new BuildError('DOCKERFILE_NOT_FOUND', { path }, { cause: error });
    }
    if (isErrno(error, 'EACCES', 'ELOOP', 'ENAMETOOLONG')) {
      throw new BuildError('DOCUMENT_INVALID', { what: path, reason: messageOf(error) }, { cause: error });
    }
    throw error;
  }
}

async function readTreeFile(path: string, { root }: DockerfilePlace): Promise<FoundDockerfile> {
  const found = await resolveInTree(root, path);
  if (found === undefined) throw new BuildError('DOCKERFILE_NOT_FOUND', { path });
  return { bytes: limited(await readRegularFile(found, SIZE_LIMIT), path), path };
}

async function readDefault({ root, named }: DockerfilePlace): Promise<FoundDockerfile> {
  for (const name of DEFAULT_NAMES) {
    const found = await resolveInTree(root, name);
    if (found === undefined) continue;
    const bytes = limited(await readRegularFile(found, SIZE_LIMIT), name);
    return { bytes, path: name, ignore: { path: join(root, `${name}.dockerignore`), name: `${name}.dockerignore` } };
  }
  throw new BuildError('DOCKERFILE_NOT_FOUND', {
    path: named.in === 'host' ? join(root, DEFAULT_NAMES[0]) : DEFAULT_NAMES[0],
  });
}

async function download(text: string, { http, signal }: DockerfilePlace): Promise<FoundDockerfile> {
  const url = new URL(text);
  const failed = (reason: string, cause?: unknown): BuildError =>
    new BuildError('DOWNLOAD_FAILED', { url: redactUrl(text), reason }, { cause });
  const answer = await http.send({ method: 'GET', url, repeat: 'safe', signal }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw failed(messageOf(error), error);
  });
  if (answer.status !== 200) {
    answer.body.destroy();
    throw failed(`the server answered ${answer.status}`);
  }
  const bytes = limited(await readLimited(answer.body), redactUrl(text));
  return { bytes, path: redactUrl(text) };
}

/** All bytes; `undefined` where there are too many for a Dockerfile. */
export async function readLimited(source: AsyncIterable<Uint8Array>): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    size += chunk.byteLength;
    if (size > SIZE_LIMIT) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/** @throws DOCUMENT_INVALID where `bytes` were or are too many */
export function limited(bytes: Buffer | undefined, what: string): Buffer {
  if (bytes !== undefined && bytes.byteLength <= SIZE_LIMIT) return bytes;
  throw new BuildError('DOCUMENT_INVALID', { what, reason: `it is larger than ${SIZE_LIMIT} bytes` });
}
