import { cp, readFile, realpath, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openBusyboxRegistry } from '../support/busybox-image.ts';
import { debianArchive } from '../support/debian-rootfs.ts';
import { freePort } from '../support/free-port.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, type Rig, stepsOf } from '../support/rig.ts';
import { checkProgram, runProgram } from '../support/run-program.ts';
import { startContainer } from '../support/run-container.ts';
import { expectFiles, unpackImage, type UnpackedImage } from '../support/unpacked-image.ts';
import { type ValidImage, validateLayout } from '../support/validate-layout.ts';

const root = resolve(import.meta.dirname, '../..');
const examples = join(root, 'examples');

/** Builds a context into a layout that is then validated. */
async function buildExample(
  rig: Rig,
  context: string,
  args: readonly string[] = [],
): Promise<{ layout: string; image: ValidImage; stderr: string }> {
  const layout = join(rig.work, `layout-of-${basename(context)}`);
  const output = ['-t', 'example:latest', '-o', `type=oci,tar=false,dest=${layout}`];
  const { stderr } = await rig.succeed(['build', '--progress=plain', ...output, ...args, context]);
  const [image, ...others] = await validateLayout(layout);
  expect(others).toEqual([]);
  return { layout, image: image!, stderr };
}

async function unpackExample({ layout, image }: { layout: string; image: ValidImage }): Promise<UnpackedImage> {
  return await unpackImage(layout, image.refName ?? 'latest');
}

describeWith(['root', 'umoci', 'runc'], 'e2e examples without a base image', () => {
  it('example demo: is built by its own script, without any registry', async () => {
    await using rig = await openRig();
    const { stdout, stderr, status } = await runProgram(
      process.execPath,
      [join(examples, 'demo.ts'), '--store', rig.store, '--progress=plain'],
      {
        cwd: root,
      },
    );
    expect(status, stderr).toBe(0);
    expect(stdout + stderr).toMatch(/demo:latest/);
    expect(stdout + stderr).toMatch(/sha256:[0-9a-f]{64}/);
    const { stdout: inspected } = await rig.succeed(['inspect', 'demo:latest']);
    expect(inspected).toContain('GREETING=built without a daemon');
  });

  it('example busybox: installs its applets and runs a shell', async () => {
    await using rig = await openRig();
    const context = join(rig.work, 'context');
    await cp(join(examples, 'busybox'), context, { recursive: true });
    await cp('/usr/bin/busybox', join(context, 'busybox'));
    await using unpacked = await unpackExample(await buildExample(rig, context));
    await expectFiles(unpacked.rootfs, {
      '/bin/sh': { type: 'symlink', link: '/bin/busybox' },
      '/tmp': { type: 'directory', mode: '1777' },
      '/etc/motd': { matches: '^BusyBox v' },
    });
    await using container = await startContainer(unpacked.bundle, {
      args: ['sh', '-c', 'echo $((6 * 7)) && cat /etc/passwd'],
    });
    expect(await container.ended).toMatchObject({ status: 0, stdout: '42\nroot:x:0:0:root:/root:/bin/sh\n' });
  });
});

describeWith(['root', 'skopeo', 'docker-registry', 'busybox'], 'e2e example parallel', () => {
  it('example parallel: stages that do not need one another run at the same time', async () => {
    await using registry = await openBusyboxRegistry();
    await using rig = await openRig();
    const { stderr } = await rig.succeed([
      'build',
      '--progress=rawjson',
      ...registry.flags,
      join(examples, 'parallel'),
    ]);
    const sleeps = stepsOf(stderr).filter(({ name }) => /RUN sleep 1/.test(name));
    expect(sleeps).toHaveLength(4);
    const lastStart = Math.max(...sleeps.map(({ startedMs }) => startedMs ?? Infinity));
    const firstEnd = Math.min(...sleeps.map(({ completedMs }) => completedMs ?? -Infinity));
    expect(lastStart, 'the last has started before the first has ended').toBeLessThan(firstEnd);
  });
});

describeWith(['root', 'umoci', 'runc', 'mmdebstrap'], 'e2e examples on Debian', () => {
  let rig: Rig & AsyncDisposable;
  beforeAll(async () => {
    rig = await openRig();
    const { stdout, stderr } = await rig.succeed(['load', '--input', await debianArchive()]);
    expect(stdout + stderr).toContain('debian:bookworm-slim');
  }, 180_000);
  afterAll(() => rig[Symbol.asyncDispose]());

  it(
    'example c-program: gcc comes by apt-get, the result is a scratch image that runs',
    { timeout: 180_000 },
    async () => {
      const built = await buildExample(rig, join(examples, 'c-program'), ['--build-arg', 'GREETING=Good evening']);
      expect(built.image.layers).toHaveLength(1);
      await using unpacked = await unpackExample(built);
      await expectFiles(unpacked.rootfs, {
        '/': { entries: ['hello'] },
        '/hello': { type: 'file', mode: '755', uid: 0 },
      });
      await using container = await startContainer(unpacked.bundle, { args: ['/hello', 'container'] });
      expect(await container.ended).toMatchObject({ status: 0, stdout: 'Good evening, container!\n' });
      const again = await rig.succeed([
        'build',
        '--progress=plain',
        '--build-arg',
        'GREETING=Good evening',
        join(examples, 'c-program'),
      ]);
      expect(again.stderr).not.toMatch(/Setting up|DONE \d+\.\d+s\n.*gcc/);
    },
  );

  it(
    'example node-web: npm ci with a cache mount and secrets, then it answers over HTTP',
    { timeout: 180_000 },
    async () => {
      const npmrc = join(rig.work, 'npmrc');
      await writeFile(npmrc, await npmSettings());
      const contexts = {
        'node-package': join(root, 'node_modules', `node-linux-${process.arch}`),
        'npm-package': await npmFolder(),
      };
      const built = await buildExample(rig, join(examples, 'node-web'), [
        ...Object.entries(contexts).flatMap(([name, folder]) => ['--build-context', `${name}=${folder}`]),
        '--secret',
        'id=ca,src=/etc/ssl/certs/ca-certificates.crt',
        '--secret',
        `id=npmrc,src=${npmrc}`,
      ]);
      expect(built.image.config.config).toMatchObject({
        User: 'app',
        ExposedPorts: { '8080/tcp': {} },
        WorkingDir: '/app',
      });
      await using unpacked = await unpackExample(built);
      await expectFiles(unpacked.rootfs, {
        '/app/node_modules/ms/package.json': { type: 'file', uid: 1000, gid: 1000 },
        '/app/.npmrc': null,
        '/root/.npm': null,
        '/etc/ssl/certs/ca-certificates.crt': null,
      });
      const port = await freePort();
      await using container = await startContainer(unpacked.bundle, { env: [`PORT=${port}`], network: 'host' });
      await expect
        .poll(async () => (await fetch(`http://127.0.0.1:${port}/hello`).catch(() => undefined))?.text(), {
          timeout: 20_000,
        })
        .toMatch(/^GET \/hello: up for /);
      container.kill('SIGKILL');
      expect((await container.ended).stdout).toContain(`listening on ${port}`);
    },
  );
});

/** What npm of this machine needs to reach its registry, as lines of an .npmrc for the container. */
async function npmSettings(): Promise<string> {
  const lines = await Promise.all(
    ['registry', 'proxy', 'https-proxy', 'noproxy', 'strict-ssl'].map(async (key) => {
      const value = (await checkProgram('npm', ['config', 'get', key])).trim();
      return value === '' || value === 'null' || value === 'undefined' ? '' : `${key}=${value}\n`;
    }),
  );
  return `${lines.join('')}update-notifier=false\n`;
}

/** The package that this machine's npm is, wherever it lies: `npm root` would name that of the Node in node_modules. */
async function npmFolder(): Promise<string> {
  const found = await checkProgram('sh', ['-c', 'command -v npm']);
  const folder = resolve(await realpath(found.trim()), '../..');
  expect(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))).toMatchObject({ name: 'npm' });
  return folder;
}
