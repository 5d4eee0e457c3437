import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeOciLayout } from '../support/oci-image.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, type Rig } from '../support/rig.ts';
import { tarOf } from '../contracts/layer-codec.ts';

/** Clears the screen, renames the window, and does both in one byte less. */
const EVIL = '\u001b[2J\u001b]0;owned\u0007\u009b2J\u007f';

// oxlint-disable-next-line no-control-regex -- control characters are this test's subject
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

const DOCKERFILE = `# syntax ${EVIL}
FROM evil AS last
# the ${EVIL} stage
ARG NAME${EVIL}=${EVIL}
LABEL ${EVIL}key="${EVIL}value"
ENV GREETING=${EVIL}
COPY "plain${EVIL}" /copied
`;

describeWith(['root'], 'texts of others in a terminal', () => {
  it('no command passes control characters on: of a Dockerfile, an image or a file name', async () => {
    await using rig = await openProject();
    const base = ['--build-context', `evil=oci-layout://${join(rig.work, 'layout')}`];
    const flaws = ['RUN ["/no', 'COPY no', 'USER no', 'FROM no', 'NO', 'WORKDIR /f/'].map((line) => `${line}${EVIL}`);
    const built = [...base, '-t', 'app', '.'];
    const builds = [
      '--progress=plain',
      '--progress=tty',
      '--explain',
      '--call=outline',
      '--call=targets',
      '--call=check',
    ];
    const succeeding = [
      ...builds.map((flag) => ['build', flag, ...built]),
      ...['plan', 'explain', 'check'].map((command) => [command, ...base, '.']),
      ['images'],
      ['images', '--format=json'],
      ['inspect', 'app'],
      ['inspect', '--format=json', 'app'],
      ['history', '--no-trunc', 'app'],
      ['du', '--verbose'],
      ['cache', 'mounts', 'ls'],
      ['verify-store'],
    ];
    const failing = [
      ['build', `${EVIL}context`],
      [`bui${EVIL}ld`],
      ['build', `--no-${EVIL}`],
      ['inspect', `app${EVIL}`],
    ];
    for (const command of [...succeeding, ...failing]) {
      const { status, stdout, stderr } = await rig.run(command);
      expect(status === 0, command.join(' ')).toBe(succeeding.includes(command));
      expect(stdout, command.join(' ')).not.toMatch(CONTROL);
      expect(stderr, command.join(' ')).not.toMatch(CONTROL);
    }
    for (const line of flaws) {
      const { status, stderr } = await rig.run(['build', ...base, '-f', '-', '.'], {
        stdin: `FROM evil\n${line}\nRUN ["/none"]\n`,
      });
      expect(status, line).not.toBe(0);
      expect(stderr, line).not.toMatch(CONTROL);
    }
  });
});

async function openProject(): Promise<Rig & AsyncDisposable> {
  const rig = await openRig();
  const layout = join(rig.work, 'layout');
  await mkdir(layout);
  await writeFile(join(rig.work, 'layer.tar'), tarOf({ path: 'f', content: 'x' }));
  const config = { Labels: { [`a${EVIL}`]: EVIL }, Env: [`A=${EVIL}`], Cmd: [EVIL], WorkingDir: `/${EVIL}` };
  await writeOciLayout(layout, { layerTars: [join(rig.work, 'layer.tar')], name: `evil:latest`, config });
  await writeFile(join(rig.work, 'Dockerfile'), DOCKERFILE);
  await writeFile(join(rig.work, `plain${EVIL}`), 'x');
  return rig;
}
