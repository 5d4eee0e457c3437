import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildRequest } from '../build-request.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import { isErrno } from '../core/error.ts';

/** The text of a file that a message is about, by the name that its ranges use; `undefined` where it cannot be had. */
export type SourceTexts = (file: string) => string | undefined;

/** Reads the files that messages name: as given, or inside the build context. */
export async function readSourceTexts(
  files: Iterable<string>,
  request: BuildRequest | undefined,
): Promise<SourceTexts> {
  const texts = new Map<string, string | undefined>();
  for (const file of new Set(files)) texts.set(file, await readSource(file, request));
  return (file) => texts.get(file);
}

/** The files that diagnostics point into. */
export function filesOf(diagnostics: readonly Diagnostic[]): readonly string[] {
  return diagnostics.flatMap(({ range }) => (range === undefined ? [] : [range.file]));
}

/** The path of the file that messages call `file` and that holds `text` now; `undefined` where it is none of this machine. */
export async function locateDockerfile(
  file: string,
  text: Uint8Array,
  request: BuildRequest,
): Promise<string | undefined> {
  for (const path of candidates(file, request)) {
    if ((await readOptional(path))?.equals(text) === true) return path;
  }
  return undefined;
}

async function readSource(file: string, request: BuildRequest | undefined): Promise<string | undefined> {
  const dockerfile = request?.dockerfile;
  if (dockerfile?.kind === 'text' && dockerfile.name === file) return Buffer.from(dockerfile.text).toString();
  for (const path of candidates(file, request)) {
    const bytes = await readOptional(path);
    if (bytes !== undefined) return bytes.toString();
  }
  return undefined;
}

function candidates(file: string, request: BuildRequest | undefined): readonly string[] {
  const dockerfile = request?.dockerfile;
  return [
    ...(dockerfile?.kind === 'path' && dockerfile.path.endsWith(file) ? [dockerfile.path] : []),
    ...(request?.context.kind === 'location' ? [join(request.context.location, file)] : []),
    file,
  ];
}

/** A context that is no directory (a URL) has no file to show. */
async function readOptional(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}
