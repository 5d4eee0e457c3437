import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeProgramRoot } from '../support/host-programs.ts';
import { giveTo, type Person } from '../support/person.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, ranSteps, type Rig } from '../support/rig.ts';
import { checkProgram, type ProgramOptions, runProgram, type ProgramResult } from '../support/run-program.ts';
import { openSshAgent, openSshServer, sshKey } from '../support/ssh.ts';

const PROGRAMS = ['ssh', 'ssh-add', 'ssh-keygen'].map((name) => `/usr/bin/${name}`);

/** Builds a Dockerfile that begins with a root of OpenSSH's clients; what it puts into /out comes to `out` of the work directory. */
async function build(
  rig: Rig,
  lines: readonly string[],
  o: ProgramOptions & { args: readonly string[] },
): Promise<ProgramResult> {
  const root = join(rig.work, 'root');
  if (!existsSync(root)) await writeProgramRoot(root, PROGRAMS);
  const dockerfile = [
    'FROM scratch AS made',
    'COPY root /',
    'RUN mkdir /out',
    ...lines,
    'FROM scratch',
    'COPY --from=made /out /',
  ];
  await writeFile(join(rig.work, 'Dockerfile'), dockerfile.join('\n'));
  const output = ['--progress=rawjson', '-o', `type=local,dest=${join(rig.work, 'out')}`];
  return rig.run(['build', ...output, ...o.args, rig.work], o);
}

function out(rig: Rig, name: string): Promise<string> {
  return readFile(join(rig.work, 'out', name), 'utf8');
}

/** Type and key of a line that lists a key, without its comment. */
function keyOf(line: string): string {
  return line.split(' ').slice(0, 2).join(' ');
}

describeWith(
  ['root', 'ssh', 'ssh-add', 'ssh-keygen', 'ssh-agent', 'busybox', 'setpriv', 'newuidmap'],
  'e2e ssh mount',
  () => {
    it.each<Person>(['root', 'user'])(
      'keys: a step of %s lists them and signs with them, and they are nowhere else',
      async (person) => {
        await using rig = await openRig({ person });
        const key = await sshKey(join(rig.work, 'key'), ['-t', 'ed25519', '-C', 'first']);
        const other = await sshKey(join(rig.work, 'other'), ['-t', 'rsa', '-b', '2048', '-m', 'PEM', '-C', 'second']);
        await giveTo(person, key.path, other.path);
        const lines = [
          'RUN --mount=type=ssh ssh-add -L > /out/listed && echo $SSH_AUTH_SOCK > /out/socket',
          `RUN printf 'ann %s\\n' '${key.publicKey}' > /signers && printf '%s\\n' '${key.publicKey}' > /key.pub`,
          'RUN --mount=type=ssh echo text | ssh-keygen -Y sign -f /key.pub -n file > /text.sig',
          'RUN echo text | ssh-keygen -Y verify -f /signers -I ann -n file -s /text.sig > /out/verified',
          'RUN test -z "$SSH_AUTH_SOCK" && test ! -e /run && ls -A / > /out/names',
        ];
        const args = ['--ssh', `default=${key.path},${other.path}`];
        const result = await build(rig, lines, { args });
        expect(result, result.stderr).toMatchObject({ status: 0 });
        expect((await out(rig, 'listed')).trim().split('\n').map(keyOf)).toEqual(
          [key, other].map(({ publicKey }) => keyOf(publicKey)),
        );
        expect(await out(rig, 'socket')).toBe('/run/buildkit/ssh_agent.0\n');
        expect(await out(rig, 'verified')).toContain('Good "file" signature');
        for (const { path } of [key, other]) {
          const [, secret = ''] = (await readFile(path, 'utf8')).split('\n');
          expect(result.stdout + result.stderr).not.toContain(secret);
          expect(await runProgram('grep', ['-rlF', secret, rig.store])).toMatchObject({ status: 1, stdout: '' });
        }
        // Which keys they are is no part of a step's key.
        const again = await build(rig, lines, { args: ['--ssh', `default=${other.path}`] });
        expect(ranSteps(again.stderr)).toEqual([]);
      },
    );

    it('kill -9: the sockets lie in the store, and the next build removes them', async () => {
      await using rig = await openRig();
      const key = await sshKey(join(rig.work, 'key'), ['-t', 'ed25519']);
      await writeProgramRoot(join(rig.work, 'root'), []);
      // Layers may keep sockets as marks.
      const find = [rig.store, '-path', '*/layers', '-prune', '-o', '-type', 's', '-print'];
      const sockets = async (): Promise<number> => (await checkProgram('find', find)).split('\n').length - 1;
      const sizes: number[] = [];
      for (const last of ['echo asleep; sleep 60', 'true']) {
        const dockerfile = `FROM scratch\nCOPY root /\nRUN --mount=type=ssh ${last}\n`;
        await writeFile(join(rig.work, 'Dockerfile'), dockerfile);
        const program = rig.start(['build', '--progress=plain', '--ssh', `default=${key.path}`, rig.work], {
          onStderr: (text) => void (/^#\d+ [\d.]+ asleep$/m.test(text) && program.kill('SIGKILL')),
        });
        expect(await program.ended).toMatchObject(last === 'true' ? { status: 0 } : { signal: 'SIGKILL' });
        sizes.push(await sockets());
      }
      expect(sizes).toEqual([2, 0]);
    });

    it('id, target, mode, uid and gid: each mount has its agent, at its place, for its user', async () => {
      await using rig = await openRig();
      const key = await sshKey(join(rig.work, 'key'), ['-t', 'ed25519']);
      const other = await sshKey(join(rig.work, 'other'), ['-t', 'ed25519']);
      await using agent = await openSshAgent(join(rig.work, 'agent'), [other.path]);
      const result = await build(
        rig,
        [
          'RUN printf "app:x:1000:1001::/:/bin/sh\\n" >> /etc/passwd',
          "RUN --mount=type=ssh stat -c '%F %a %u %g' $SSH_AUTH_SOCK > /out/defaults",
          'RUN --mount=type=ssh --mount=type=ssh,id=other ssh-add -L > /out/first && echo $SSH_AUTH_SOCK > /out/variable \\',
          '  && SSH_AUTH_SOCK=/run/buildkit/ssh_agent.1 ssh-add -L > /out/second',
          "RUN --mount=type=ssh,id=other,target=/agents/a,mode=0640,uid=1000,gid=1001 echo $SSH_AUTH_SOCK $(stat -c '%a %u %g' /agents/a) > /out/own",
          'RUN chmod 777 /out',
          'USER app',
          'RUN --mount=type=ssh,uid=1000 ssh-add -L > /out/by-app',
          'RUN --mount=type=ssh ssh-add -L > /out/refused 2>&1 || echo refused >> /out/refused',
        ],
        { args: ['--ssh', `default=${key.path}`, '--ssh', `other=${agent.socket}`] },
      );
      expect(result, result.stderr).toMatchObject({ status: 0 });
      expect(await out(rig, 'defaults')).toBe('socket 600 0 0\n');
      expect(await out(rig, 'first')).toBe(`${key.publicKey}\n`);
      expect(await out(rig, 'second')).toBe(`${other.publicKey}\n`);
      expect(await out(rig, 'variable')).toBe('/run/buildkit/ssh_agent.0\n');
      expect(await out(rig, 'own')).toBe('/agents/a 640 1000 1001\n');
      expect(await out(rig, 'by-app')).toBe(`${key.publicKey}\n`);
      expect(await out(rig, 'refused')).toContain('refused');
    });

    it('an agent that was not given: nothing is mounted, unless it is required', async () => {
      await using rig = await openRig();
      const optional = ['RUN --mount=type=ssh test -z "$SSH_AUTH_SOCK" && test ! -e /run'];
      expect(await build(rig, optional, { args: [] })).toMatchObject({ status: 0 });
      const { status, stderr } = await build(rig, ['RUN --mount=type=ssh,id=github,required true'], { args: [] });
      expect(status).toBe(1);
      expect(stderr).toContain('error SSH_NOT_FOUND: the required ssh agent "github" was not given');
      expect(stderr).toContain('give it with --ssh github');
    });

    it('a key with a passphrase: fails, and says where keys with one belong', async () => {
      await using rig = await openRig();
      const { path } = await sshKey(join(rig.work, 'key'), ['-t', 'ed25519', '-N', 'password']);
      const { status, stderr } = await build(rig, ['RUN --mount=type=ssh true'], {
        args: ['--ssh', `default=${path}`],
      });
      expect(status).toBe(1);
      expect(stderr).toContain(`Dockerfile:4:1`);
      expect(stderr).toContain(`error SSH_KEY_INVALID: the ssh key ${path} cannot be used: it has a passphrase`);
      expect(stderr).toContain('add it to an agent with ssh-add');
    });

    it('a step that floods the agent: does not stop the next one', async () => {
      await using rig = await openRig();
      const key = await sshKey(join(rig.work, 'key'), ['-t', 'ed25519']);
      const lines = [
        'RUN --mount=type=ssh for i in $(seq 200); do (head -c 1m /dev/urandom | timeout 5 nc local:$SSH_AUTH_SOCK >/dev/null 2>&1 &) ; done; ssh-add -D; ssh-add -x </dev/null; true',
        'RUN --mount=type=ssh ssh-add -L > /out/listed',
      ];
      const args = ['--ssh', `default=${key.path}`, '--network=host'];
      const result = await build(rig, lines, { args });
      expect(result, result.stderr).toMatchObject({ status: 0 });
      expect(await out(rig, 'listed')).toBe(`${key.publicKey}\n`);
    });
  },
);

describeWith(['root', 'ssh', 'ssh-add', 'ssh-keygen', 'sshd', 'busybox'], 'e2e ssh mount with a server', () => {
  it.each([['ed25519'], ['ecdsa'], ['rsa']])('ssh with an %s key: a step logs in to a server', async (type) => {
    await using rig = await openRig();
    const key = await sshKey(join(rig.work, 'key'), ['-t', type]);
    await using server = await openSshServer(rig.work, [key.publicKey]);
    const ssh = `ssh -o StrictHostKeyChecking=no -o BatchMode=yes -p ${server.port} root@127.0.0.1`;
    const lines = [`RUN --mount=type=ssh ${ssh} echo reached > /out/answer`];
    const result = await build(rig, lines, { args: ['--ssh', `default=${key.path}`, '--network=host'] });
    expect(result, result.stderr).toMatchObject({ status: 0 });
    expect(await readFile(join(rig.work, 'out/answer'), 'utf8')).toBe('reached\n');
  });
});
