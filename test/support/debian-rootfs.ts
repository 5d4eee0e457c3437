import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { hostArchitecture, writeOciLayout } from './oci-image.ts';
import { checkProgram } from './run-program.ts';

const SUITE = 'bookworm';
const NAME = 'docker.io/library/debian:bookworm-slim';

/** Documentation and translations, as Docker's own slim images leave them out. */
const EXCLUDED = ['doc', 'info', 'locale', 'man', 'zoneinfo'].map((name) => `path-exclude=/usr/share/${name}/*`);

/**
 * An OCI archive of a small Debian named `debian:bookworm-slim`, made by mmdebstrap from the mirrors that this machine itself uses.
 * It is made once a day and kept in `$XDG_CACHE_HOME/tsbuild-test` (`~/.cache`); callers must not change it.
 */
export async function debianArchive(): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'tsbuild-test');
  const day = new Date().toISOString().slice(0, 10);
  const archive = join(cache, `debian-${SUITE}-${hostArchitecture}-${day}.tar`);
  if (existsSync(archive)) return archive;
  await mkdir(cache, { recursive: true });
  const old = (await readdir(cache)).filter((name) => name.startsWith(`debian-${SUITE}-`));
  const work = await mkdtemp(join(cache, 'making-'));
  try {
    await makeArchive(work);
    await rename(join(work, 'archive.tar'), archive);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  for (const name of old) await rm(join(cache, name), { force: true });
  return archive;
}

async function makeArchive(work: string): Promise<void> {
  const sources = await debianSources();
  const layerTar = join(work, 'layer.tar');
  await writeFile(join(work, 'sources.list'), sources.map((line) => `${line}\n`).join(''));
  await copyAptSettings(join(work, 'apt.conf'));
  const options = EXCLUDED.map((option) => `--dpkgopt=${option}`);
  const clean = '--customize-hook=rm -f "$1"/var/cache/apt/*.bin "$1"/var/log/*.log';
  const settings = `--aptopt=${join(work, 'apt.conf')}`;
  const what = [SUITE, layerTar, join(work, 'sources.list')];
  await checkProgram('mmdebstrap', ['--quiet', '--variant=minbase', ...options, settings, clean, ...what]);
  const layout = join(work, 'layout');
  await writeOciLayout(layout, {
    layerTars: [layerTar],
    name: NAME,
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['bash'] },
  });
  await checkProgram('tar', [
    '--create',
    `--file=${join(work, 'archive.tar')}`,
    `--directory=${layout}`,
    'oci-layout',
    'index.json',
    'blobs',
  ]);
}

/** Lines of sources.list for the suite and its security updates, from the mirrors in this machine's own configuration. */
async function debianSources(): Promise<readonly string[]> {
  const release = await readFile('/etc/os-release', 'utf8');
  const own = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1] ?? 'stable';
  const format = ['indextargets', '--format', '$(REPO_URI) $(RELEASE)', 'Created-By: Packages', 'Component: main'];
  const targets = (await checkProgram('apt-get', format)).trim().split('\n');
  const lines = targets.flatMap((target) => {
    const [uri = '', suite = ''] = target.split(' ');
    if (suite === own || suite === 'stable') return [`deb ${uri} ${SUITE} main`];
    return suite.endsWith('-security') ? [`deb ${uri} ${SUITE}-security main`] : [];
  });
  if (lines.length === 0) throw new Error(`apt of this machine knows no mirror of Debian: ${targets.join(', ')}`);
  return [...new Set(lines)];
}

/** How this machine reaches its mirrors (proxies, validity of old snapshots), so that apt does the same inside the image. */
async function copyAptSettings(file: string): Promise<void> {
  const settings = (await checkProgram('apt-config', ['dump'])).split('\n');
  const wanted = settings.filter((line) => /^Acquire::(Check-Valid-Until|Check-Date|http|https|Retries)\b/.test(line));
  await writeFile(file, [...wanted, 'Acquire::Languages "none";', ''].join('\n'));
}
