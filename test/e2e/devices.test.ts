import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeProgramRoot } from '../support/host-programs.ts';
import type { Person } from '../support/person.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, ranSteps, type Rig } from '../support/rig.ts';
import { checkProgram, type ProgramResult } from '../support/run-program.ts';

interface Project {
  readonly rig: Rig;
  /** Writes the CDI spec: one device with these edits. */
  write(edits: object): Promise<void>;
  /** Builds a Dockerfile with these RUN lines on busybox. What is in /out comes to `out` of the work directory. */
  build(lines: readonly string[], ...args: readonly string[]): Promise<ProgramResult>;
  out(name: string): Promise<string>;
}

async function openProject(person: Person = 'root'): Promise<Project & AsyncDisposable> {
  const rig = await openRig({ person });
  const [context, cdi] = [join(rig.work, 'context'), join(rig.work, 'cdi')];
  await mkdir(cdi);
  await writeProgramRoot(join(context, 'root'), []);
  await writeFile(join(rig.work, 'settings'), 'of the host\n');
  return {
    rig,
    write: (containerEdits) =>
      writeFile(
        join(cdi, 'gadget.json'),
        JSON.stringify({
          cdiVersion: '0.6.0',
          kind: 'example.com/gadget',
          devices: [{ name: 'one', containerEdits }],
        }),
      ),
    build: async (lines, ...args) => {
      const dockerfile = ['FROM scratch AS made', 'COPY root /', 'RUN mkdir /out', ...lines];
      await writeFile(join(context, 'Dockerfile'), [...dockerfile, 'FROM scratch', 'COPY --from=made / /'].join('\n'));
      const output = ['--progress=rawjson', '-o', `type=tar,dest=${join(rig.work, 'out.tar')}`];
      return rig.run(['build', '--cdi-spec-dir', cdi, ...output, ...args, context]);
    },
    out: (name) => checkProgram('tar', ['-xOf', join(rig.work, 'out.tar'), `out/${name}`]),
    [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose](),
  };
}

const RUN = 'RUN --device=example.com/gadget=one,required';

describeWith(['root', 'busybox', 'runc', 'setpriv', 'newuidmap'], 'e2e RUN --device', () => {
  it.each(['native', 'runc'])(
    '%s: node, variable and file are in the step, and nowhere afterwards',
    async (runtime) => {
      await using project = await openProject();
      const { rig } = project;
      await project.write({
        env: ['GADGET=ready'],
        deviceNodes: [{ path: '/dev/gadget', hostPath: '/dev/null', fileMode: 0o640, uid: 5, gid: 6 }],
        mounts: [{ hostPath: join(rig.work, 'settings'), containerPath: '/etc/gadget/settings', options: ['ro'] }],
        additionalGids: [44],
      });
      const lines = [
        `${RUN} stat -c '%F %a %u %g %t %T' /dev/gadget > /out/node && echo x > /dev/gadget`,
        `${RUN} echo $GADGET $(id -G) > /out/variable && cp /etc/gadget/settings /out/file`,
        `${RUN} (echo x > /etc/gadget/settings) 2>/dev/null || echo read-only > /out/access`,
        'RUN echo "[$GADGET]" $(ls -d /dev/gadget /etc/gadget 2>/dev/null) > /out/after',
      ];
      const result = await project.build(lines, '--allow', 'device=example.com/gadget=one', '--runtime', runtime);
      expect(result, result.stderr).toMatchObject({ status: 0 });
      expect(await project.out('node')).toBe('character special file 640 5 6 1 3\n');
      expect(await project.out('variable')).toBe('ready 0 44\n');
      expect(await project.out('file')).toBe('of the host\n');
      expect(await project.out('access')).toBe('read-only\n');
      expect(await project.out('after')).toBe('[]\n');
      const names = (await checkProgram('tar', ['-tf', join(rig.work, 'out.tar')])).split('\n');
      expect(names.filter((name) => name.includes('gadget'))).toEqual([]);
      expect(await readFile(join(rig.work, 'settings'), 'utf8')).toBe('of the host\n');
    },
  );

  it('as an ordinary user: the host’s own node is in the step, which cannot change it', async () => {
    await using project = await openProject('user');
    const before = await stat('/dev/null');
    await project.write({
      env: ['GADGET=ready'],
      deviceNodes: [{ path: '/dev/gadget', hostPath: '/dev/null', fileMode: 0o600 }],
    });
    const lines = [
      `${RUN} echo x > /dev/gadget && echo $GADGET > /out/variable`,
      `${RUN} chmod 600 /dev/gadget 2>/dev/null || chown 7 /dev/gadget 2>/dev/null || echo refused > /out/change`,
    ];
    const result = await project.build(lines, '--allow', 'device');
    expect(result, result.stderr).toMatchObject({ status: 0 });
    expect(await project.out('variable')).toBe('ready\n');
    expect(await project.out('change')).toBe('refused\n');
    expect(await stat('/dev/null')).toMatchObject({ mode: before.mode, uid: before.uid });
  });

  it('a spec in YAML: is one too, and a broken one says what is wrong with it', async () => {
    await using project = await openProject();
    const spec = join(project.rig.work, 'cdi/gadget.yaml');
    await writeFile(
      spec,
      '---\ncdiVersion: "0.5.0"\nkind: example.com/gadget\ndevices:\n- name: one\n  containerEdits:\n    env: [GADGET=yaml]\n',
    );
    const result = await project.build([`${RUN} echo $GADGET > /out/variable`], '--allow', 'device');
    expect(result, result.stderr).toMatchObject({ status: 0 });
    expect(await project.out('variable')).toBe('yaml\n');
    await writeFile(spec, 'kind: [\n');
    const { status, stderr } = await project.build([`${RUN} true`], '--allow', 'device');
    expect(status).toBe(1);
    expect(stderr).toContain('error DEVICE_NOT_FOUND: ');
    expect(stderr).toContain(`hint: ${spec}: `);
  });

  it('the cache: knows a device by its name, not by what it brings', async () => {
    await using project = await openProject();
    const lines = [`${RUN} echo $GADGET > /out/variable`];
    await project.write({ env: ['GADGET=before'] });
    expect(await project.build(lines, '--allow', 'device')).toMatchObject({ status: 0 });
    await project.write({ env: ['GADGET=after'] });
    expect(ranSteps((await project.build(lines, '--allow', 'device')).stderr)).toEqual([]);
    const other = await project.build([lines[0]?.replace('gadget=one', 'gadget=*') ?? ''], '--allow', 'device');
    expect(ranSteps(other.stderr).some((name) => name.startsWith('RUN --device'))).toBe(true);
  });

  it('a device that was not granted: is refused, and the grant named', async () => {
    await using project = await openProject();
    await project.write({ env: ['GADGET=x'] });
    const { status, stderr } = await project.build([`${RUN} true`], '--allow', 'device=example.com/other');
    expect(status).toBe(1);
    expect(stderr).toContain('Dockerfile:4:1');
    expect(stderr).toContain('error NOT_ALLOWED: RUN --device=example.com/gadget=one needs the entitlement device=');
    expect(stderr).toContain('grant it with --allow device=example.com/gadget=one');
  });

  it('a device that is not there: the step does without, unless it is required', async () => {
    await using project = await openProject();
    await project.write({ env: ['GADGET=x'] });
    const optional = await project.build(['RUN --device=example.com/nothing=1 echo "[$GADGET]" > /out/variable']);
    expect(optional, optional.stderr).toMatchObject({ status: 0 });
    expect(await project.out('variable')).toBe('[]\n');
    const { status, stderr } = await project.build(['RUN --device=example.com/nothing=1,required true']);
    expect(status).toBe(1);
    expect(stderr).toContain('error DEVICE_NOT_FOUND: the required device example.com/nothing=1 is in no CDI spec of ');
    expect(stderr).toContain('the devices are: example.com/gadget=one');
  });

  it('a device with hooks: is refused', async () => {
    await using project = await openProject();
    await project.write({ hooks: [{ hookName: 'createContainer', path: '/usr/bin/true' }] });
    const { status, stderr } = await project.build([`${RUN} true`], '--allow', 'device');
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /error DEVICE_INVALID: the device example\.com\/gadget=one of .*gadget\.json cannot be used: it needs hooks/,
    );
  });
});
