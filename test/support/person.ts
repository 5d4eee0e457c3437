import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram, type ProgramResult } from './run-program.ts';

/** Who runs tsbuild: root, an ordinary user to whom /etc/subuid gives ids for others, or one who has only the own id. */
export type Person = 'root' | 'user' | 'lone-user';

/** The user and group id of both ordinary users; nobody else's on any machine that we know of. */
export const ordinaryUid = 61_234;

/** A command line to be put before another one, so that this is run by the person. */
export type Become = readonly string[];

/** Gives the machine's user database a name for the uid, and ids for others, and the machine another name; only the program started sees that. */
const SCRIPT = `
from=$1; shift
for file in passwd subuid subgid; do mount --bind "$from/$file" "/etc/$file"; done
echo elsewhere > /proc/sys/kernel/hostname
exec setpriv --reuid ${ordinaryUid} --regid ${ordinaryUid} --clear-groups --inh-caps=-all "$@"
`;

/** Makes a person of us, who are root. `directory` takes a few files that have to stay as long as what is run. */
export async function becomePerson(person: Person, directory: string): Promise<Become> {
  if (person === 'root') return [];
  await mkdir(directory, { recursive: true });
  const range = person === 'user' ? `tester:2000000:65536\n` : '';
  const passwd = await readFile('/etc/passwd', 'utf8');
  await writeFile(join(directory, 'passwd'), `${passwd}tester:x:${ordinaryUid}:${ordinaryUid}::/:/bin/sh\n`);
  for (const file of ['subuid', 'subgid']) await writeFile(join(directory, file), range);
  return ['unshare', '--uts', '--mount', '--propagation', 'private', 'sh', '-euc', SCRIPT, 'sh', directory];
}

/** Gives directories that we made to the person. */
export async function giveTo(person: Person, ...paths: readonly string[]): Promise<void> {
  if (person !== 'root') for (const path of paths) await chown(path, ordinaryUid, ordinaryUid);
}

/**
 * Runs one of the tests' own scripts as the person; its first argument is `directory`, which it is given to write in, its last one `rootless`
 * or `root`, then `more`.
 */
export async function runScriptAs(
  person: Person,
  o: {
    readonly script: string;
    readonly directory: string;
    readonly args?: readonly string[];
    readonly more?: readonly string[];
  },
): Promise<ProgramResult> {
  await chmod(o.directory, 0o755);
  await giveTo(person, o.directory);
  const mode = person === 'root' ? 'root' : 'rootless';
  const become = await becomePerson(person, `${o.directory}.identity`);
  const words = [...become, process.execPath, o.script, o.directory, ...(o.args ?? []), mode, ...(o.more ?? [])];
  const [file = '', ...args] = words;
  try {
    return await runProgram(file, args, { cwd: '/' });
  } finally {
    await rm(`${o.directory}.identity`, { recursive: true, force: true });
  }
}
