import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryDirectory } from './store-rig.ts';

/** A `config.json` as docker writes it, in a directory of its own. */
export interface DockerConfigFile extends AsyncDisposable {
  readonly path: string;
}

/** Writes `content` as docker's configuration. */
export async function dockerConfig(content: object): Promise<DockerConfigFile> {
  const directory = await temporaryDirectory();
  const path = join(directory.path, 'config.json');
  await writeFile(path, JSON.stringify(content));
  return { path, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}
