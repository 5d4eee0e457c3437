import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { isErrno } from '../src/core/error.ts';
import type { SelectedFile } from '../src/core/file-backend.ts';
import { digestHex, digestOf, type Digest } from '../src/oci/digest.ts';
import { makeDirectory } from './make-directory.ts';

/** Lists kept; the ones written longest ago go first. */
const MAX_LISTS = 256;
const MAX_LIST_BYTES = 256 * 1024 * 1024;

/**
 * Keeps the bytes that a content digest was made from, under that digest, so that it can be told later what changed. It is only a help
 * for people: nothing is synced, and a list that is not there or not whole is no list.
 */
export function saveSelectionList(directory: string, digest: Digest, text: string): void {
  const path = join(directory, digestHex(digest));
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  makeDirectory(directory, { mode: 0o700 });
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, deflateRawSync(Buffer.from(text, 'latin1'), { level: 1 }), { mode: 0o600 });
    renameSync(draft, path);
    dropOldest(directory);
  } catch (error) {
    // What is short of space is the build's to find out, where it matters. Another thread may have been quicker.
    if (!isErrno(error, 'ENOSPC', 'EDQUOT', 'ENOENT')) throw error;
    rmSync(draft, { force: true });
  }
}

/** The files that `digest` was made from; `undefined` where that is not known any more. Paths are relative to what was selected. */
export function readSelectionList(directory: string, digest: Digest): readonly SelectedFile[] | undefined {
  let bytes: Buffer;
  try {
    bytes = inflateRawSync(readFileSync(join(directory, digestHex(digest))), { maxOutputLength: MAX_LIST_BYTES });
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'Z_DATA_ERROR', 'Z_BUF_ERROR', 'ERR_BUFFER_TOO_LARGE')) return undefined;
    throw error;
  }
  return digestOf(bytes) === digest ? filesOf(recordsIn(bytes.toString('latin1'))) : undefined;
}

/** The lists of fields that `FieldHash` framed. */
function* recordsIn(text: string): Generator<readonly string[]> {
  let at = 0;
  const number = (end: string): number => {
    const stop = text.indexOf(end, at);
    const value = Number(text.slice(at, stop));
    at = stop + 1;
    return value;
  };
  while (at < text.length) {
    const fields: string[] = [];
    for (let count = number(';'); count > 0; count--) {
      const length = number(':');
      fields.push(text.slice(at, at + length));
      at += length;
    }
    yield fields;
  }
}

function filesOf(records: Iterable<readonly string[]>): readonly SelectedFile[] {
  const files: SelectedFile[] = [];
  let root = -1;
  let name = '';
  for (const [type = '', path = '', third = '', fourth = ''] of records) {
    if (type === 'tsbuild-selection-1') continue;
    if (type === 'root') {
      root++;
      name = toText(third);
      continue;
    }
    const [mode = '', uid = '', gid = ''] = type === 'symlink' ? ['', ...third.split(' ')] : third.split(' ');
    const content =
      type === 'file' ? digestOf(Buffer.from(`${third.split(' ')[3] ?? ''} ${fourth}`, 'latin1')) : toText(fourth);
    files.push({
      type,
      root: { index: root, name },
      path: toText(path),
      mode: Number(mode),
      owner: `${uid}:${gid}`,
      content,
    });
  }
  return files;
}

function toText(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString();
}

function dropOldest(directory: string): void {
  const names = readdirSync(directory);
  if (names.length <= MAX_LISTS) return;
  const aged = names.map((name) => ({
    name,
    timeMs: statSync(join(directory, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  }));
  aged.sort((a, b) => a.timeMs - b.timeMs);
  for (const { name } of aged.slice(0, names.length - MAX_LISTS)) rmSync(join(directory, name), { force: true });
}
