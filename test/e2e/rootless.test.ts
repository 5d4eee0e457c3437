import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { debianArchive } from '../support/debian-rootfs.ts';
import { writeOciLayout } from '../support/oci-image.ts';
import type { Person } from '../support/person.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, type Rig } from '../support/rig.ts';
import { checkProgram, type ProgramResult } from '../support/run-program.ts';
import { type TemporaryDirectory, openTemp } from '../support/temp.ts';
import { validateLayout, type ValidImage } from '../support/validate-layout.ts';

const fixture = (name: string): string => join(import.meta.dirname, 'fixtures', name);

const needs = ['root', 'skopeo', 'docker-registry', 'busybox', 'cc', 'setpriv', 'newuidmap', 'runc', 'crun', 'runsc'];

describeWith(needs, 'e2e rootless', () => {
  let registry: BusyboxRegistry;
  let temp: TemporaryDirectory;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
    temp = openTemp();
    await chmod(temp.path, 0o755);
    await prepare(temp);
  });
  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
    temp[Symbol.dispose]();
  });

  const flags = (rig: Rig): readonly string[] => [
    '--progress=plain',
    ...registry.flags,
    `--build-context=base=oci-layout://${temp.at('base')}`,
    `--secret=id=token,src=${temp.at('context/plain.txt')}`,
    '--build-arg=SOURCE_DATE_EPOCH=1700000000',
    `--output=type=oci,rewrite-timestamp=true,tar=false,dest=${join(rig.work, 'layout')}`,
  ];

  async function buildAs(person: Person, args: readonly string[], file = 'Dockerfile'): Promise<ValidImage> {
    await using rig = await openRig({ person });
    // What a step sees does not depend on who builds where.
    const env = person === 'root' ? {} : { FOREIGN: 'x', LANG: 'tr_TR.UTF-8', TZ: 'Pacific/Kiritimati', SHELL: '/x' };
    await rig.succeed(['build', ...flags(rig), ...args, '-f', temp.at('context', file), temp.at('context')], { env });
    const [image] = await validateLayout(join(rig.work, 'layout'));
    if (image === undefined) throw new Error('the layout has no image');
    return image;
  }

  it.each(['overlay', 'copy'])(
    'rootless: every instruction and kind of file comes to the image that root builds: %s',
    async (snapshotter) => {
      const root = await buildAs('root', [`--snapshotter=${snapshotter}`]);
      const user = await buildAs('user', [`--snapshotter=${snapshotter}`]);
      expect(identity(user)).toEqual(identity(root));
    },
  );

  it('crun, as root: every instruction and kind of file comes to the same image', async () => {
    const [native, crun] = [await buildAs('root', []), await buildAs('root', ['--runtime=crun'])];
    expect(identity(crun)).toEqual(identity(native));
  });
  it('runsc, as root: every instruction comes to the same image, but for what gVisor has not', async () => {
    const text = await readFile(temp.at('context/Dockerfile'), 'utf8');
    const without = [/^RUN set-attribute[^]*?\n(?=RUN)/m, / && mkfifo \S+/, / \/proc\/sys\/kernel\/domainname/];
    await writeFile(
      temp.at('context/for-gvisor'),
      without.reduce((rest, each) => rest.replace(each, ''), text),
    );
    const native = await buildAs('root', [], 'for-gvisor');
    expect(identity(await buildAs('root', ['--runtime=runsc'], 'for-gvisor'))).toEqual(identity(native));
  });
  it('rootless: marks of overlayfs that a step sets hide nothing, and the image is the one that root builds', async () => {
    const mark = ['opaque', 'whiteout'].map((name) => `/set-attribute /d user.overlay.${name} 79`).join(' && ');
    const steps = ['mkdir /d && touch /d/below', `${mark} && touch /d/new`, 'test -e /d/below && ls /d > /list'];
    const text = ['FROM busybox', 'COPY set-attribute /', ...steps.map((step) => `RUN ${step}`)].join('\n');
    await writeFile(temp.at('context/marked'), `${text}\nFROM scratch\nCOPY --from=0 /d /d\nCOPY --from=0 /list /\n`);
    const root = await buildAs('root', [], 'marked');
    const user = await buildAs('user', [], 'marked');
    expect(identity(user)).toEqual(identity(root));
    expect(root.layers.flatMap(({ names }) => names)).toContain('d/below');
  });

  it('rootless: without a range of ids, files of root come to the same image', async () => {
    const text = 'FROM busybox\nCOPY plain.txt /\nRUN rm -r /var && mkdir /var && chmod 4755 /plain.txt\n';
    await writeFile(temp.at('context/only-root'), text);
    const [root, lone] = await Promise.all([buildAs('root', [], 'only-root'), buildAs('lone-user', [], 'only-root')]);
    expect(identity(lone)).toEqual(identity(root));
  });

  it.each(['runc', 'crun', 'runsc'])('rootless: without a range of ids, %s runs steps of root', async (runtime) => {
    await writeFile(temp.at('context/only-root-runs'), 'FROM busybox\nRUN id -u > /id && ls /sys/class/net > /net\n');
    const file = 'only-root-runs';
    const [native, lone] = [
      await buildAs('root', [], file),
      await buildAs('lone-user', [`--runtime=${runtime}`], file),
    ];
    expect(lone.layers.map(({ names }) => names)).toEqual(native.layers.map(({ names }) => names));
  });

  it('rootless: without a range of ids, a build says what will not work', async () => {
    await using rig = await openRig({ person: 'lone-user' });
    const stdin = 'FROM busybox\nRUN true\nRUN echo\n';
    const { stderr } = await rig.succeed(['build', ...flags(rig), '-f', '-', temp.at('context')], { stdin });
    expect(stderr.match(/root is the only user of steps/g)).toHaveLength(1);
  });

  it.each(['runc', 'crun', 'runsc'])(
    'rootless: %s runs the steps as well, and comes to the same image',
    async (runtime) => {
      const isolated = 'RUN --network=none ls /sys/class/net > /net && ! mkdir /sys/x && id > /id';
      await writeFile(temp.at('context/by-runtime'), `FROM busybox\n${isolated}\nUSER app\nRUN id > /tmp/id\n`);
      const root = await buildAs('root', [], 'by-runtime');
      const user = await buildAs('user', [`--runtime=${runtime}`], 'by-runtime');
      expect(identity(user)).toEqual(identity(root));
    },
  );

  /** Builds a Dockerfile that cannot be built. */
  async function failAs(person: Person, dockerfile: string): Promise<ProgramResult> {
    await using rig = await openRig({ person });
    const result = await rig.run(['build', ...flags(rig), '-f', '-', temp.at('context')], { stdin: dockerfile });
    expect(result, result.stderr).toMatchObject({ status: 1 });
    return result;
  }

  it.each([
    ['COPY --chown', 'FROM busybox\nCOPY --chown=7:8 plain.txt /\n', '7:8'],
    ['USER', 'FROM busybox\nUSER app\nRUN true\n', '1000:1001'],
    ['a base image', 'FROM base\nRUN ["/x"]\n', '1000:1001'],
    ['a cache mount', 'FROM busybox\nRUN --mount=type=cache,target=/c,uid=5 true\n', '5:0'],
    ['a secret', 'FROM busybox\nRUN --mount=type=secret,id=token,uid=6 true\n', '6:0'],
  ])('rootless: without a range of ids, another owner is refused by name: %s', async (_, dockerfile, ids) => {
    const { stderr } = await failAs('lone-user', dockerfile);
    expect(stderr).toContain(`error ID_NOT_MAPPED: nothing can belong to ${ids} here`);
    expect(stderr).toContain('hint: apt-get install uidmap; usermod --add-subuids');
  });

  it('rootless: an id beyond the range is refused by name', async () => {
    const { stderr } = await failAs('user', 'FROM busybox\nCOPY --chown=70000 plain.txt /\n');
    expect(stderr).toContain('error ID_NOT_MAPPED: nothing can belong to 70000:70000 here');
  });

  it.each([
    ['private', 'permission denied'],
    ['foreign', 'its file capability was set in another user namespace'],
  ])('rootless: a file of the context that cannot be read is named: %s', async (name, reason) => {
    for (const source of [name, `${name}/file`, `${name}/f*`]) {
      const { stderr } = await failAs('user', `FROM scratch\nCOPY ${source} /x/\n`);
      expect(stderr).toContain(`error SOURCE_UNREADABLE: cannot read "/${name}/file" in the build context: ${reason}`);
    }
  });
});

describeWith(['root', 'mmdebstrap', 'setpriv', 'newuidmap'], 'e2e rootless on Debian', () => {
  it('rootless: apt-get installs packages with users and owners of their own', { timeout: 180_000 }, async () => {
    await using rig = await openRig({ person: 'user' });
    await rig.succeed(['load'], { stdin: await readFile(await debianArchive()) });
    const install = 'apt-get update && apt-get install -y --no-install-recommends openssh-client iputils-ping';
    const look = 'stat -c "%U:%G %a" /usr/bin/ssh-agent && getcap /usr/bin/ping && su nobody -s /bin/sh -c id';
    const dockerfile = `FROM debian:bookworm-slim\nRUN ${install}\nRUN ${look}\n`;
    const { stderr } = await rig.succeed(['build', '--progress=plain', '-o', 'type=cacheonly', '-f', '-', rig.work], {
      stdin: dockerfile,
    });
    expect(stderr).toContain(' root:_ssh 2755');
    expect(stderr).toContain(' /usr/bin/ping cap_net_raw=ep');
    expect(stderr).toContain(' uid=65534(nobody) gid=65534(nogroup)');
  });
});

/** Makes `base`, an OCI layout of two layers, and `context`. */
async function prepare(temp: TemporaryDirectory): Promise<void> {
  const [context, layers] = [temp.at('context'), temp.at('layers')];
  for (const folder of [context, layers, join(context, 'private'), join(context, 'foreign')]) await mkdir(folder);
  const setAttribute = join(context, 'set-attribute');
  await checkProgram('cc', ['-O1', '-static', '-o', setAttribute, fixture('set-attribute.c')]);
  await checkProgram('sh', ['-eu', fixture('base-layers.sh'), setAttribute], { cwd: layers });
  const layerTars = ['lower.tar', 'upper.tar'].map((name) => join(layers, name));
  await writeOciLayout(temp.at('base'), { layerTars, name: 'base:latest', config: {} });
  await cp(fixture('everything.Dockerfile'), join(context, 'Dockerfile'));
  await writeFile(join(context, 'plain.txt'), 'plain\n');
  await writeFile(join(context, 'private/file'), 'private\n', { mode: 0o600 });
  await writeFile(join(context, 'foreign/file'), 'foreign\n');
  await checkProgram(setAttribute, [join(context, 'foreign/file'), 'security.capability', capabilityOf(5_000_000)]);
  await cp(join(layers, 'lower/capable'), join(context, 'capable'));
  await checkProgram(setAttribute, [join(context, 'capable'), 'security.capability', capabilityOf()]);
  await checkProgram('tar', [`--file=${join(context, 'archive.tar')}`, `--directory=${layers}`, '-c', 'lower/owned']);
}

/** cap_net_raw=ep as struct vfs_ns_cap_data has it: of the machine's root, or of the user namespace whose root is `rootId`. */
function capabilityOf(rootId?: number): string {
  const data = Buffer.alloc(rootId === undefined ? 20 : 24);
  data.writeUInt32LE(rootId === undefined ? 0x02000001 : 0x03000001, 0);
  data.writeUInt32LE(1 << 13, 4);
  if (rootId !== undefined) data.writeUInt32LE(rootId, 20);
  return data.toString('hex');
}

/** What tells images apart, in an order that makes a failed test readable. */
function identity({ layers, config, digest }: ValidImage): unknown {
  return { layers, config, digest };
}
