/**
 * Adds to package-lock.json the optional platform packages that a partial registry mirror could not serve: `npm ci`
 * refuses a lock file that lacks them, although it never installs them here. They carry no integrity, therefore
 * packages for the platforms tsbuild runs on must have been found. Fails if the lock file names a registry.
 */
import { readFile, writeFile } from 'node:fs/promises';

type Entry = {
  readonly version?: string;
  readonly resolved?: string;
  readonly dev?: true;
  readonly optional?: true;
  readonly license?: string;
  readonly optionalDependencies?: Record<string, string>;
};
type Platform = { readonly os: string[]; readonly cpu: string[]; readonly libc?: string[] };
type Lock = { packages: Record<string, Entry> };

const lock = JSON.parse(await readFile('package-lock.json', 'utf8')) as Lock;
const present = new Set(Object.keys(lock.packages));
const missing = Object.entries(lock.packages).flatMap(([parent, { optionalDependencies = {} }]) =>
  Object.entries(optionalDependencies)
    .filter(([name]) => !present.has(`${parent}/node_modules/${name}`) && !present.has(`node_modules/${name}`))
    .map(([name, version]) => [`node_modules/${name}`, placeholder(name, version)] as const),
);
lock.packages = Object.fromEntries(
  [...Object.entries(lock.packages), ...missing].toSorted(([a], [b]) => a.localeCompare(b, 'en')),
);
const hosts = Object.values(lock.packages).filter(({ resolved }) => resolved?.includes('://'));
if (hosts.length > 0) throw new Error(`package-lock.json names a registry host in ${hosts.length} entries`);
await writeFile('package-lock.json', `${JSON.stringify(lock, undefined, 2)}\n`);
process.stdout.write(`package-lock.json: ${missing.length} entries added\n`);

/** The entry of e.g. `@oxlint/binding-linux-x64-musl`, read from its name: system, processor, C library. */
function placeholder(name: string, version: string): Entry & Platform {
  const [system, processor, library] = name.replace(/^.*\/(binding-)?/, '').split('-');
  if (system === undefined || processor === undefined) throw new Error(`no platform in the package name ${name}`);
  if (system === 'linux' && ['x64', 'arm64'].includes(processor) && !library?.startsWith('musl')) {
    throw new Error(`${name}@${version} is needed here, but the registry does not have it`);
  }
  const libc = system === 'linux' ? { libc: [library?.startsWith('musl') ? 'musl' : 'glibc'] } : {};
  return { version, cpu: [processor], dev: true, ...libc, license: 'MIT', optional: true, os: [system] };
}
