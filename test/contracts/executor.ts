import {
  chmod,
  mkdir,
  open as openFile,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import type { Executor, RuntimeMount, RuntimeSpec } from '../../src/core/executor.ts';
import { defaultPids } from '../../sandbox/cgroup.ts';
import { fileCapability } from '../../sandbox/extended-attributes.ts';
import { itUnless, type RegisterTest } from '../support/it-unless.ts';
import { checkProgram } from '../support/run-program.ts';
import { addFile, addProgram, describePath, openStepRig, type StepRig } from '../support/step-rig.ts';
import { deviceNodeTests } from './device-nodes.ts';

/** An executor to be tested, and its end. */
export interface ExecutorUnderTest extends AsyncDisposable {
  readonly executor: Executor;
}

/** What every executor does, tried with busybox on an overlay. `lacks`: what one cannot do by its nature, and why. */
export function executorContract(
  name: string,
  open: (rig: StepRig) => Promise<ExecutorUnderTest>,
  lacks: Readonly<Record<string, string>> = {},
): void {
  const step: StepTest = async (test) => {
    await using rig = await openStepRig();
    await using opened = await open(rig);
    await test(rig, opened.executor);
  };
  const groups = [
    processTests,
    failureTests,
    isolationTests,
    seccompTests,
    fileTests,
    mountTests,
    deviceTests,
    deviceNodeTests,
    hostileMountTests,
    endTests,
    limitTests,
  ];
  describe(`executor: ${name}`, () => {
    itUnless(lacks, (it) => groups.forEach((group) => group(it, step)));
  });
}

/** Runs a test with a rig and an executor of its own. */
export type StepTest = (test: (rig: StepRig, executor: Executor) => Promise<void>) => Promise<void>;

function processTests(it: RegisterTest, step: StepTest): void {
  it('exit code: 0, another, and of a signal', () =>
    step(async (rig, executor) => {
      expect((await rig.sh(executor, 'true')).status).toMatchObject({ kind: 'exited', code: 0 });
      expect((await rig.sh(executor, 'exit 42')).status).toMatchObject({ kind: 'exited', code: 42 });
      // As pid 1 the step itself takes no signal from inside; its child does.
      expect((await rig.sh(executor, 'sh -c "kill -TERM \\$\\$"; exit $?')).status).toMatchObject({ code: 143 });
    }));
  it('output: stdout and stderr are apart, whole, in order', () =>
    step(async (rig, executor) => {
      const { stdout, stderr } = await rig.sh(executor, 'echo out; echo err >&2; echo more');
      expect({ stdout, stderr }).toEqual({ stdout: 'out\nmore\n', stderr: 'err\n' });
    }));
  it('output: megabytes come through', () =>
    step(async (rig, executor) => {
      const { stdout } = await rig.sh(executor, 'yes 0123456789abcde | head -c 3000000');
      expect(stdout).toHaveLength(3_000_000);
    }));
  it('output: what is written to /dev/stdout and /dev/stderr arrives', () =>
    step(async (rig, executor) => {
      const { stdout, stderr } = await rig.sh(executor, 'echo out > /dev/stdout; echo err > /dev/stderr');
      expect({ stdout, stderr }).toEqual({ stdout: 'out\n', stderr: 'err\n' });
    }));
  it('stdin: is empty', () =>
    step(async (rig, executor) => expect((await rig.sh(executor, 'cat; echo end')).stdout).toBe('end\n')));
  it('environment: is exactly what was given', () =>
    step(async (rig, executor) => {
      const env = ['PATH=/bin', 'HOME=/data', 'WITH=a=b c', 'EMPTY='];
      const { stdout } = await rig.run(executor, rig.spec(['env'], { process: { env } }));
      expect(stdout.trimEnd().split('\n').toSorted()).toEqual(env.toSorted());
    }));
  it('process: cwd, umask, pid 1, a session of its own', () =>
    step(async (rig, executor) => {
      const script = 'pwd; umask; echo $$; cut -d" " -f6 /proc/self/stat';
      const { stdout } = await rig.sh(executor, script, { process: { cwd: '/data' } });
      expect(stdout).toBe('/data\n0022\n1\n1\n');
    }));
  it('process: another umask than 022', () =>
    step(async (rig, executor) => {
      expect((await rig.sh(executor, 'umask', { process: { umask: 0o027 } })).stdout).toBe('0027\n');
    }));
  it('user: ids and supplementary groups are those given, and no others', () =>
    step(async (rig, executor) => {
      const user = { uid: 1000, gid: 1000, additionalGids: [1000, 50], home: '/data' };
      const { stdout } = await rig.sh(executor, 'grep -E "^(Uid|Gid|Groups)" /proc/self/status', { process: { user } });
      expect(stdout.replace(/[ \t]+/g, ' ')).toBe(
        'Uid: 1000 1000 1000 1000\nGid: 1000 1000 1000 1000\nGroups: 50 1000 \n',
      );
    }));
  it('descriptors: only the three standard ones are open', () =>
    step(async (rig, executor) => {
      // ls itself holds one more, for the directory.
      expect((await rig.run(executor, rig.spec(['ls', '/proc/self/fd']))).stdout).toBe('0\n1\n2\n3\n');
    }));
  it('signals: none is ignored or blocked', () =>
    step(async (rig, executor) => {
      const { stdout } = await rig.run(executor, rig.spec(['grep', '-E', '^Sig(Ign|Blk)', '/proc/self/status']));
      expect(stdout.match(/0{16}/g)).toHaveLength(2);
    }));
  it('rlimits: are set, and clamped to what we have ourselves', () =>
    step(async (rig, executor) => {
      const rlimits = [
        { type: 'nofile', soft: 100, hard: 200 },
        { type: 'RLIMIT_CORE', soft: 4096, hard: -1 },
      ];
      const { status, stdout } = await rig.sh(executor, 'ulimit -Sn; ulimit -Hn', { process: { rlimits } });
      expect({ code: status.kind === 'exited' && status.code, stdout }).toEqual({ code: 0, stdout: '100\n200\n' });
    }));
  it('core dumps: none is written, whatever the host allows, unless the step asks for it', () =>
    step(async (rig, executor) => {
      await checkProgram('prlimit', ['--core=unlimited:unlimited', '--pid', String(process.pid)]);
      const script = 'ulimit -c; ulimit -c unlimited; ulimit -c; ulimit -c 0; cd /data; sh -c "kill -SEGV \\$\\$"; ls';
      expect((await rig.sh(executor, script)).stdout).toBe('0\nunlimited\n');
    }));
}

async function notStarted(executor: Executor, spec: RuntimeSpec): Promise<string> {
  const failure: unknown = await executor
    .run(spec, { output: () => undefined, signal: undefined })
    .catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'EXEC_NOT_STARTED' });
  return (failure as Error).message;
}

function failureTests(it: RegisterTest, step: StepTest): void {
  it('start: says which program is missing', () =>
    step(async (rig, executor) => {
      expect(await notStarted(executor, rig.spec(['nosuch', 'arg']))).toBe(
        'process "nosuch arg" could not be started: "nosuch" is not in PATH (/bin)',
      );
      expect(await notStarted(executor, rig.spec(['/bin/nosuch']))).toBe(
        'process "/bin/nosuch" could not be started: /bin/nosuch: no such file',
      );
    }));
  it('start: says why a file is not a program', () =>
    step(async (rig, executor) => {
      await addFile(rig, 'bin/plain', 'echo\n', 0o644);
      await addFile(rig, 'bin/garbage', 'no program\n', 0o755);
      await addFile(rig, 'bin/orphan', '#!/no/interpreter\n', 0o755);
      expect(await notStarted(executor, rig.spec(['/bin/plain']))).toContain('/bin/plain: permission denied');
      expect(await notStarted(executor, rig.spec(['/bin/garbage']))).toContain(
        '/bin/garbage: neither a program for this machine',
      );
      expect(await notStarted(executor, rig.spec(['/bin/orphan']))).toContain('/bin/orphan');
      expect(await notStarted(executor, rig.spec(['/etc']))).toMatch(/\/etc: (is a directory|permission denied)/);
    }));
  it('start: a working directory that is missing is made for the user, through links, and stays', () =>
    step(async (rig, executor) => {
      await symlink('/data', join(rig.lower, 'way'));
      const user = { uid: 7, gid: 8, additionalGids: [8], home: '/' };
      const { stdout } = await rig.sh(executor, 'pwd; stat -c "%u:%g %a" . .. /data', {
        process: { cwd: '/way/a/b', user },
      });
      expect(stdout).toBe('/data/a/b\n7:8 755\n7:8 755\n0:0 755\n');
      expect(await describePath(join(rig.upper, 'data/a/b'))).toMatch(/^directory/);
    }));
  it('start: the working directory must be one', () =>
    step(async (rig, executor) => {
      expect(await notStarted(executor, rig.spec(['true'], { process: { cwd: '/etc/passwd' } }))).toContain(
        'working directory /etc/passwd',
      );
    }));
  it('abort: before the start nothing is run', () =>
    step(async (rig, executor) => {
      const reason = new Error('the user');
      await expect(rig.run(executor, rig.spec(['touch', '/data/ran']), AbortSignal.abort(reason))).rejects.toBe(reason);
      expect(await describePath(join(rig.upper, 'data/ran'))).toBe('-');
    }));
}

function isolationTests(it: RegisterTest, step: StepTest): void {
  it('namespaces: none is the host’s, unless that of users', () =>
    step(async (rig, executor) => {
      const names = ['mnt', 'pid', 'uts', 'ipc', 'cgroup', 'net', 'user', 'time'];
      const script = names.map((each) => `readlink /proc/self/ns/${each}`).join(';');
      const inside = (await rig.sh(executor, script)).stdout.trimEnd().split('\n');
      const outside = await Promise.all(names.map((each) => readlink(`/proc/self/ns/${each}`)));
      const shared = names.filter((_, index) => inside[index] === outside[index]);
      expect(shared.filter((each) => each !== 'user')).toEqual([]);
    }));
  for (const network of ['default', 'none', 'host'] as const) {
    it(`network: ${network}: raw sockets, and ports below 1024`, () =>
      step(async (rig, executor) => {
        await addProgram(rig, 'probe');
        const calls = ['socket-raw', 'socket-packet', 'bind-low-port'];
        const { stdout } = await rig.run(executor, rig.spec(['probe', ...calls], { network }));
        expect(stdout).toBe(calls.map((each) => `${each}: ok\n`).join(''));
      }));
  }
  it('network: none has only the loopback, which is up', () =>
    step(async (rig, executor) => {
      const { stdout } = await rig.sh(executor, 'ls /sys/class/net; ifconfig lo', { network: 'none' });
      expect(stdout).toMatch(/^lo\n/);
      expect(stdout).toMatch(/UP LOOPBACK RUNNING/);
    }));
  it('network: host is the host’s', () =>
    step(async (rig, executor) => {
      const server = createServer((client) => client.end('hello from the host\n'));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const { stdout } = await rig.sh(executor, `nc 127.0.0.1 ${port} < /dev/null`, { network: 'host' });
      server.close();
      expect(stdout).toBe('hello from the host\n');
    }));
  it('hostname: is the spec’s', () =>
    step(async (rig, executor) =>
      expect((await rig.sh(executor, 'hostname', { hostname: 'made-up' })).stdout).toBe('made-up\n'),
    ));
  it('capabilities: are Docker’s; none can be inherited', () =>
    step(async (rig, executor) => {
      const { stdout } = await rig.sh(executor, 'grep ^Cap /proc/self/status');
      const docker = '00000000a80425fb';
      const none = '0000000000000000';
      expect(
        Object.fromEntries(
          stdout
            .trimEnd()
            .split('\n')
            .map((line) => line.split(':\t')),
        ),
      ).toMatchObject({ CapInh: none, CapPrm: docker, CapEff: docker, CapBnd: docker });
    }));
  it('capabilities: none is ambient, and programs may gain some', () =>
    step(async (rig, executor) => {
      const { stdout } = await rig.sh(executor, 'grep -E "^(CapAmb|NoNewPrivs)" /proc/self/status');
      expect(stdout).toBe('CapAmb:\t0000000000000000\nNoNewPrivs:\t0\n');
    }));
  it('capabilities: another user has none, but could gain the bounding ones', () =>
    step(async (rig, executor) => {
      const user = { uid: 1000, gid: 1000, additionalGids: [1000], home: '/' };
      const { stdout } = await rig.sh(executor, 'grep -E "^Cap(Prm|Eff|Bnd)" /proc/self/status', {
        process: { user },
      });
      expect(stdout).toBe('CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb\n');
    }));
  it('/proc: what tells or does too much is masked or read-only', () =>
    step(async (rig, executor) => {
      const masked = ['keys', 'timer_list', 'kcore', 'latency_stats', 'sched_debug'];
      const script = [
        ...masked.map(
          (each) => `[ ! -e /proc/${each} ] || [ -z "$(head -c 1 /proc/${each})" ] || echo ${each} is readable`,
        ),
        'for each in /proc/acpi /proc/scsi /sys/firmware; do [ -z "$(ls $each 2>/dev/null)" ] || echo $each is visible; done',
        'for each in sys/kernel/hostname sysrq-trigger; do (echo x > /proc/$each) 2>/dev/null && echo $each is writable; done',
        '(touch /proc/acpi/x) 2>/dev/null && echo mask is writable',
        'true',
      ];
      expect((await rig.sh(executor, script.join('\n'))).stdout).toBe('');
    }));
  it('/sys: is read-only, the cgroups too', () =>
    step(async (rig, executor) => {
      const { stdout } = await rig.sh(
        executor,
        'grep -E "^[^ ]* /sys(/fs/cgroup/[^ ]*)? " /proc/mounts | cut -d" " -f2,4',
      );
      expect(stdout).toContain('/sys ro,');
      expect(stdout.split('\n').filter((line) => / rw,/.test(line))).toEqual([]);
    }));
  it('/dev: holds the harmless devices and nothing else', () =>
    step(async (rig, executor) => {
      const { stdout } = await rig.sh(executor, 'cd /dev; for i in *; do echo $i $(stat -c "%F %a" $i); done');
      const entries = new Map(
        stdout
          .trimEnd()
          .split('\n')
          .map((line) => [line.split(' ')[0], line]),
      );
      for (const each of ['null', 'zero', 'full', 'random', 'urandom', 'tty']) {
        expect(entries.get(each)).toBe(`${each} character special file 666`);
      }
      for (const each of ['fd', 'stdin', 'stdout', 'stderr', 'ptmx'])
        expect(entries.get(each)).toMatch(/symbolic link/);
      for (const each of ['pts', 'shm', 'mqueue']) expect(entries.get(each)).toMatch(/directory/);
      const known = 14;
      expect([...entries.keys()].filter((each) => each !== 'core')).toHaveLength(known);
    }));
  it('/dev: works', () =>
    step(async (rig, executor) => {
      const script =
        'head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x > /dev/null; echo x > /dev/shm/y; cat /dev/shm/y';
      expect((await rig.sh(executor, script)).stdout).toBe('4\n4\nx\n');
    }));
  it('devices: a node of the host’s disk can be made, but not opened', () =>
    step(async (rig, executor) => {
      const script =
        'for d in / /dev /data; do cd $d && mknod disk b 254 0 && head -c 1 disk; rm -f disk; done 2>&1 | grep -c "not permitted\\|denied\\|No such device"';
      expect((await rig.sh(executor, script)).stdout).toBe('3\n');
    }));
  it('/dev/shm: has the size asked for', () =>
    step(async (rig, executor) => {
      const { stdout } = await rig.sh(executor, 'grep /dev/shm /proc/mounts', { shmSizeBytes: 5 << 20 });
      expect(stdout).toMatch(/size=(5120k|5242880)\b/);
    }));
  it('host: nothing of it is in sight', () =>
    step(async (rig, executor) => {
      const { stdout } = await rig.sh(executor, 'cat /proc/self/mountinfo; ls /proc | grep -c "^[0-9]"; ls /');
      expect(stdout).not.toContain(rig.top);
      // The shell, ls, and grep, which may not have begun yet.
      expect(stdout).toMatch(/\n[2345]\n/);
    }));
}

const EPERM = 1;
const EBADF = 9;
const EINVAL = 22;
const ENOSYS = 38;
const EFAULT = 14;

function seccompTests(it: RegisterTest, step: StepTest): void {
  it('seccomp: refuses what Docker refuses', () =>
    step(async (rig, executor) => {
      await addProgram(rig, 'probe');
      const names =
        'unshare-user unshare-mount clone-user mount fsopen open_tree keyctl add_key bpf perf_event_open userfaultfd ' +
        'io_uring_setup kexec_load init_module setns pivot_root swapon reboot settimeofday open_by_handle_at sethostname ' +
        'personality-no-randomize';
      const refused = names.split(' ');
      const { stdout } = await rig.run(executor, rig.spec(['probe', ...refused, 'clone3']));
      expect(stdout).toBe(
        [...refused.map((each) => `${each}: errno ${EPERM}`), `clone3: errno ${ENOSYS}`, ''].join('\n'),
      );
    }));
  it('seccomp: allows what Docker allows', () =>
    step(async (rig, executor) => {
      await addProgram(rig, 'probe');
      const allowed = ['socket-inet', 'chroot'];
      const { stdout } = await rig.run(executor, rig.spec(['probe', ...allowed]));
      expect(stdout).toBe(allowed.map((each) => `${each}: ok\n`).join(''));
    }));
  it('seccomp: allows to ask for the personality', () =>
    step(async (rig, executor) => {
      await addProgram(rig, 'probe');
      const { stdout } = await rig.run(executor, rig.spec(['probe', 'personality-query']));
      expect(stdout).toBe('personality-query: ok\n');
    }));
  it('seccomp: the 32-bit ABIs are no way around it', () =>
    step(async (rig, executor) => {
      if (process.arch !== 'x64') return;
      await addProgram(rig, 'probe');
      const { stdout } = await rig.run(executor, rig.spec(['probe', 'i386-unshare', 'x32-unshare']));
      // A kernel may have neither; then the call fails even earlier.
      expect(stdout).toMatch(/^i386-unshare: errno (1|38)\nx32-unshare: errno (1|38)\n$/);
    }));
  it('unconfined: nothing is refused or hidden', () =>
    step(async (rig, executor) => {
      await addProgram(rig, 'probe');
      const change = { confinement: 'unconfined', process: { capabilities: 'all' } } as const;
      const { stdout } = await rig.run(executor, rig.spec(['probe', 'mount', 'unshare-mount', 'sethostname'], change));
      expect(stdout).toBe('mount: ok\nunshare-mount: ok\nsethostname: ok\n');
      const shown = await rig.sh(
        executor,
        'grep -c " /proc/" /proc/mounts; grep " /sys " /proc/mounts | cut -d" " -f4',
        change,
      );
      expect(shown.stdout).toMatch(/^0\nrw,/);
    }));
  it('seccomp: answers of the kernel pass', () =>
    step(async (rig, executor) => {
      await addProgram(rig, 'probe');
      const { stdout } = await rig.run(executor, rig.spec(['probe', 'msync-async-unmapped']));
      expect(stdout).toMatch(new RegExp(`errno (12|${EFAULT}|${EINVAL}|${EBADF})`));
    }));
}

function fileTests(it: RegisterTest, step: StepTest): void {
  it('layer: holds what the step wrote', () =>
    step(async (rig, executor) => {
      await rig.sh(executor, 'echo new > /data/new; rm /etc/group');
      expect(await readFile(join(rig.upper, 'data/new'), 'utf8')).toBe('new\n');
      expect((await stat(join(rig.upper, 'etc/group'))).isCharacterDevice()).toBe(true);
    }));
  it('layer: sudo works, that is, a set-uid program is not held back', () =>
    step(async (rig, executor) => {
      await addProgram(rig, 'probe');
      await chmod(join(rig.lower, 'bin/probe'), 0o4755);
      const user = { uid: 1000, gid: 1000, additionalGids: [1000], home: '/' };
      const { stdout } = await rig.run(executor, rig.spec(['probe', 'effective-root'], { process: { user } }));
      expect(stdout).toBe('effective-root: ok\n');
    }));
  it('layer: file capabilities are for any root, not for that of a user namespace, and hold in the step', () =>
    step(async (rig, executor) => {
      await addProgram(rig, 'give-capability');
      await addProgram(rig, 'probe');
      const user = { uid: 1000, gid: 1000, additionalGids: [1000], home: '/' };
      await rig.sh(executor, 'cp /bin/probe /data; give-capability /data/probe');
      const raw = await rig.run(executor, rig.spec(['/data/probe', 'socket-raw'], { process: { user } }));
      expect(raw.stdout).toBe('socket-raw: ok\n');
      await using file = await openFile(join(rig.upper, 'data/probe'));
      const secondRevision = '0100000200200000000000000000000000000000';
      expect(fileCapability(file.fd)?.toString('hex')).toBe(secondRevision);
    }));
  it('/etc/hosts and /etc/resolv.conf: are there, read-only, and leave no trace', () =>
    step(async (rig, executor) => {
      const extraHosts = [{ host: 'registry.test', address: '192.0.2.7' }];
      const script =
        'cat /etc/hosts; (echo x >> /etc/hosts) 2>/dev/null || echo read-only; [ -f /etc/resolv.conf ] && stat -c %Y /etc';
      const { stdout } = await rig.sh(executor, script, { extraHosts });
      expect(stdout).toBe(
        '127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n192.0.2.7\tregistry.test\nread-only\n1000000000\n',
      );
      expect(await describePath(join(rig.upper, 'etc/hosts'))).toBe('-');
      expect(await describePath(join(rig.upper, 'etc/resolv.conf'))).toBe('-');
      expect(await describePath(join(rig.upper, 'etc'))).toMatch(/^(-|directory 1000000000)$/);
    }));
  it('/proc, /sys and /dev: their mount points stay, as with BuildKit', () =>
    step(async (rig, executor) => {
      await rig.sh(executor, 'touch /dev/gone');
      for (const each of ['proc', 'sys', 'dev']) {
        expect(await describePath(join(rig.upper, each))).toMatch(/^directory/);
        expect(await readdir(join(rig.upper, each))).toEqual([]);
      }
    }));
  it('/etc/resolv.conf: a dangling link of the image is followed inside the root', () =>
    step(async (rig, executor) => {
      await symlink('/run/resolver/stub.conf', join(rig.lower, 'etc/resolv.conf'));
      const { stdout } = await rig.sh(executor, 'readlink /etc/resolv.conf; cat /run/resolver/stub.conf | wc -c');
      expect(stdout).toMatch(/^\/run\/resolver\/stub.conf\n[1-9]/);
      expect(await describePath(join(rig.upper, 'run'))).toBe('-');
    }));
  it('lower layers: 200 of them', () =>
    step(async (rig, executor) => {
      const lower = [rig.lower];
      for (let i = 0; i < 200; i++) {
        const layer = join(rig.top, `layer-with-a-rather-long-name-${i}`);
        await mkdir(layer);
        await writeFile(join(layer, `file-${i}`), '');
        lower.push(layer);
      }
      const root = {
        type: 'overlay',
        lower,
        upper: rig.upper,
        work: join(rig.top, 'work'),
        xattrs: 'trusted',
      } as const;
      expect((await rig.sh(executor, 'ls / | grep -c file-', { root })).stdout).toBe('200\n');
    }));
  it('root: a plain directory, read-write or read-only', () =>
    step(async (rig, executor) => {
      const root = { type: 'bind', source: rig.lower, access: 'read-write' } as const;
      await rig.sh(executor, 'touch /data/mine', { root });
      expect(await describePath(join(rig.lower, 'data/mine'))).toMatch(/^file/);
    }));
  it('root: the same snapshot serves several steps', () =>
    step(async (rig, executor) => {
      await rig.sh(executor, 'echo 1 >> /data/count');
      await rig.sh(executor, 'echo 2 >> /data/count');
      expect(await readFile(join(rig.upper, 'data/count'), 'utf8')).toBe('1\n2\n');
    }));
}

/** The kernel's log, which anybody may open for writing who has a node of it, and which no step is given unasked. */
const kernelLog = {
  type: 'device',
  source: '/dev/kmsg',
  destination: '/dev/gadget',
  kind: 'character',
  major: 1,
  minor: 11,
  access: { read: true, write: true, mknod: true },
  mode: 0o620,
  uid: 5,
  gid: 6,
} as const satisfies RuntimeMount;

function deviceTests(it: RegisterTest, step: StepTest): void {
  it('device: opens where it was given, under its name, owner and mode', () =>
    step(async (rig, executor) => {
      const script = 'stat -c "%F %a %u %g %t %T" /dev/gadget; : > /dev/gadget && echo open';
      const { stdout, stderr } = await rig.sh(executor, script, { mounts: [kernelLog] });
      expect(stdout, stderr).toBe('character special file 620 5 6 1 b\nopen\n');
    }));
  it('device: no other step opens it, nor this one more than was given', () =>
    step(async (rig, executor) => {
      const script = 'mknod /tmp/log c 1 11 && (: > /tmp/log) 2>/dev/null && echo open; true';
      expect((await rig.sh(executor, script)).stdout).toBe('');
      const reading = { ...kernelLog, access: { read: true, write: false, mknod: false } };
      expect(
        (await rig.sh(executor, '(: > /dev/gadget) 2>/dev/null && echo open; true', { mounts: [reading] })).stdout,
      ).toBe('');
      expect((await rig.sh(executor, ': > /dev/gadget && echo open', { mounts: [kernelLog] })).stdout).toBe('open\n');
      expect((await rig.sh(executor, script)).stdout).toBe('');
    }));
  it('device: nothing of it is in the layer, and the host’s node stays as it is', () =>
    step(async (rig, executor) => {
      const before = await stat('/dev/null');
      const zero = { ...kernelLog, source: '/dev/null', minor: 3, destination: '/gadgets/null' };
      const script = 'echo x > /gadgets/null; chmod 777 /gadgets/null; chown 7:7 /gadgets/null';
      expect((await rig.sh(executor, script, { mounts: [zero] })).status).toMatchObject({ code: 0 });
      expect(await describePath(join(rig.upper, 'gadgets'))).toBe('-');
      expect(await describePath(join(rig.upper, 'dev/gadget'))).toBe('-');
      expect(await stat('/dev/null')).toMatchObject({ mode: before.mode, uid: before.uid });
    }));
}

function mountTests(it: RegisterTest, step: StepTest): void {
  const tmpfs: RuntimeMount = { type: 'tmpfs', destination: '/deep/ly/new', mode: 0o1777, sizeBytes: 1 << 20 };
  it('stubs: made with their parents, removed afterwards, times put back', () =>
    step(async (rig, executor) => {
      const mounts = [tmpfs, { ...tmpfs, destination: '/data/new' }];
      const { stdout } = await rig.sh(executor, 'echo x > /data/new/x; stat -c "%a" /data/new; stat -c %Y /data', {
        mounts,
      });
      expect(stdout).toBe('1777\n1000000000\n');
      expect(await describePath(join(rig.upper, 'deep'))).toBe('-');
      expect(await describePath(join(rig.upper, 'data/new'))).toBe('-');
      expect(await describePath(join(rig.upper, 'data'))).toMatch(/^(-|directory 1000000000)$/);
    }));
  it('a tmpfs at /dev: has the size that it asks for, and the step’s devices', () =>
    step(async (rig, executor) => {
      const script =
        'head -c 3 /dev/zero | wc -c; : > /dev/null; ls -d /dev/shm /dev/pts /dev/fd; df -k /dev | tail -n 1';
      const { stdout } = await rig.sh(executor, script, { mounts: [{ ...tmpfs, destination: '/dev' }] });
      expect(stdout).toMatch(/^3\n\/dev\/fd\n\/dev\/pts\n\/dev\/shm\n\S+ +1024 /);
      expect(await describePath(join(rig.upper, 'dev/zero'))).toBe('-');
    }));
  it('a directory at /dev that lacks the devices of a step: is refused', () =>
    step(async (rig, executor) => {
      const source = join(rig.top, 'no-devices');
      await mkdir(source);
      const mounts: RuntimeMount[] = [{ type: 'bind', source, path: '', destination: '/dev', access: 'read-write' }];
      await expect(rig.sh(executor, 'true', { mounts })).rejects.toThrow('/dev/null');
    }));
  it('stubs: what the step put beside stays, and so does its time', () =>
    step(async (rig, executor) => {
      await rig.sh(executor, 'touch /data/kept', { mounts: [{ ...tmpfs, destination: '/data/new' }] });
      expect(await describePath(join(rig.upper, 'data/kept'))).toMatch(/^file/);
      expect(await describePath(join(rig.upper, 'data'))).not.toBe('directory 1000000000');
    }));
  it('file: data, mode and owner; read-only; not in the layer', () =>
    step(async (rig, executor) => {
      const data = Buffer.from([0, 1, 2, 0, 255]);
      const mounts: RuntimeMount[] = [
        { type: 'file', destination: '/run/secrets/key', data, mode: 0o400, uid: 1000, gid: 50 },
        {
          type: 'file',
          destination: '/dev/pipes/EOF',
          data: Buffer.from('#!/bin/sh\necho ran\n'),
          mode: 0o755,
          uid: 0,
          gid: 0,
        },
      ];
      const script =
        'stat -c "%a %u %g %s" /run/secrets/key; (echo x > /run/secrets/key) 2>/dev/null || echo read-only; /dev/pipes/EOF';
      expect((await rig.sh(executor, script, { mounts })).stdout).toBe('400 1000 50 5\nread-only\nran\n');
      expect(await describePath(join(rig.upper, 'run'))).toBe('-');
    }));
  it('bind: a directory of the store, written through or not', () =>
    step(async (rig, executor) => {
      const source = join(rig.top, 'cache');
      await mkdir(join(source, 'inner'), { recursive: true });
      const bind = { type: 'bind', source, destination: '/cache' } as const;
      const mounts: RuntimeMount[] = [
        { ...bind, path: '/', access: 'read-write' },
        { ...bind, path: '/inner', destination: '/read', access: 'read-only' },
      ];
      const { stdout } = await rig.sh(
        executor,
        'echo x > /cache/inner/x; cat /read/x; touch /read/y 2>/dev/null || echo read-only',
        { mounts },
      );
      expect(stdout).toBe('x\nread-only\n');
      expect(await readFile(join(source, 'inner/x'), 'utf8')).toBe('x\n');
    }));
  it('snapshot: a part of another tree, a single file too', () =>
    step(async (rig, executor) => {
      const view = { type: 'overlay', lower: [rig.lower, join(rig.top, 'more')], xattrs: 'trusted' } as const;
      await mkdir(join(rig.top, 'more/data/sub'), { recursive: true });
      await writeFile(join(rig.top, 'more/data/sub/file'), 'text\n');
      const mounts: RuntimeMount[] = [
        { type: 'snapshot', root: view, path: '/data', destination: '/mnt/tree', access: 'read-only' },
        { type: 'snapshot', root: view, path: '/data/sub/file', destination: '/mnt/one', access: 'read-only' },
      ];
      const { stdout } = await rig.sh(
        executor,
        'cat /mnt/tree/sub/file /mnt/one; touch /mnt/tree/x 2>/dev/null || echo read-only',
        { mounts },
      );
      expect(stdout).toBe('text\ntext\nread-only\n');
    }));
  it('socket: reaches the host’s under its own owner and mode', () =>
    step(async (rig, executor) => {
      await addProgram(rig, 'connect');
      const source = join(rig.top, 'agent.sock');
      const server = createServer({ allowHalfOpen: true }, (client) => client.end('hello from the agent\n'));
      await new Promise<void>((resolve) => server.listen(source, resolve));
      const mounts: RuntimeMount[] = [
        { type: 'socket', source, destination: '/run/agent/0', mode: 0o600, uid: 1000, gid: 50 },
      ];
      const { stdout } = await rig.sh(executor, 'stat -c "%F %a %u %g" /run/agent/0; connect /run/agent/0', { mounts });
      expect((await stat(source)).uid).toBe(process.getuid?.());
      server.close();
      expect(stdout).toBe('socket 600 1000 50\nhello from the agent\n');
    }));
  it('order: later mounts lie over earlier ones', () =>
    step(async (rig, executor) => {
      const file = { type: 'file', destination: '/over/f', mode: 0o444, uid: 0, gid: 0 } as const;
      const mounts: RuntimeMount[] = [
        { ...tmpfs, destination: '/over' },
        { ...file, data: Buffer.from('first') },
        { ...file, data: Buffer.from('second') },
      ];
      expect((await rig.sh(executor, 'cat /over/f', { mounts })).stdout).toBe('second');
    }));
}

/** A directory of the host that nothing may reach. */
async function makeCanary(rig: StepRig): Promise<string> {
  const path = join(rig.top, 'canary');
  await mkdir(path);
  await writeFile(join(path, 'secret'), 'host secret\n');
  return path;
}

function hostileMountTests(it: RegisterTest, step: StepTest): void {
  it('mount target: a link that points outside ends inside the root', () =>
    step(async (rig, executor) => {
      const host = await makeCanary(rig);
      await symlink(host, join(rig.lower, 'link'));
      await symlink('../../../../../../../..', join(rig.lower, 'up'));
      const mounts: RuntimeMount[] = [
        { type: 'tmpfs', destination: '/link/x', mode: 0o755 },
        { type: 'tmpfs', destination: `/up${host}/y`, mode: 0o755 },
      ];
      const { stdout } = await rig.sh(executor, `grep -c ${host} /proc/mounts`, { mounts });
      expect(stdout).toBe('2\n');
      expect(await describePath(join(host, 'x'))).toBe('-');
      expect(await describePath(join(host, 'y'))).toBe('-');
    }));
  it('mount source: a link that points outside its tree ends inside it', () =>
    step(async (rig, executor) => {
      const host = await makeCanary(rig);
      const source = join(rig.top, 'cache');
      await mkdir(source);
      await symlink(host, join(source, 'escape'));
      const mounts: RuntimeMount[] = [
        { type: 'bind', source, path: '/escape', destination: '/mnt', access: 'read-write' },
      ];
      await expect(rig.sh(executor, 'cat /mnt/secret', { mounts })).rejects.toMatchObject({ code: 'SANDBOX_FAILED' });
    }));
  it('mount target: nothing is mounted into /proc', () =>
    step(async (rig, executor) => {
      const mounts: RuntimeMount[] = [{ type: 'tmpfs', destination: '/proc/sys', mode: 0o755 }];
      await expect(rig.sh(executor, 'true', { mounts })).rejects.toMatchObject({ code: 'SANDBOX_FAILED' });
    }));
  it('/proc as a link of the image is refused', () =>
    step(async (rig, executor) => {
      await symlink('/data', join(rig.lower, 'proc'));
      await expect(rig.sh(executor, 'true')).rejects.toMatchObject({ code: 'SANDBOX_FAILED' });
    }));
  for (const cwd of ['/proc/self/fd/3', '/proc/self/cwd', '/proc/1/root', '/proc'])
    it(`working directory: ${cwd} is refused`, () =>
      step(async (rig, executor) => {
        await expect(rig.sh(executor, 'pwd; ls -la', { process: { cwd } })).rejects.toMatchObject({
          code: 'EXEC_NOT_STARTED',
        });
      }));
  it('working directory: a link into /proc/self/fd is refused', () =>
    step(async (rig, executor) => {
      await symlink('/proc/self/fd/5', join(rig.lower, 'leak'));
      const refused = { code: expect.stringMatching(/^(EXEC_NOT_STARTED|SANDBOX_FAILED)$/) as string };
      await expect(rig.sh(executor, 'ls', { process: { cwd: '/leak' } })).rejects.toMatchObject(refused);
    }));
  it('program: /proc/self/exe does not lead to ours', () =>
    step(async (rig, executor) => {
      await expect(rig.run(executor, rig.spec(['/proc/self/exe']))).rejects.toMatchObject({ code: 'EXEC_NOT_STARTED' });
      await addFile(rig, 'bin/script', '#!/proc/self/exe\n', 0o755);
      const ended = await rig.run(executor, rig.spec(['/bin/script'])).then(
        ({ status }) => status,
        (error: unknown) => error,
      );
      expect(ended).not.toMatchObject({ kind: 'exited', code: 0 });
    }));
}

function endTests(it: RegisterTest, step: StepTest): void {
  it('end: processes left in the background are dead when run() settles', () =>
    step(async (rig, executor) => {
      await rig.sh(
        executor,
        '(while true; do date +%s%N > /data/alive 2>/dev/null || echo x > /data/alive; done) & setsid sleep 600 & exit 0',
      );
      const before = await stat(join(rig.upper, 'data/alive')).catch(() => undefined);
      await delay(50);
      const after = await stat(join(rig.upper, 'data/alive')).catch(() => undefined);
      expect(after?.mtimeMs).toBe(before?.mtimeMs);
    }));
  it('abort: kills the step and rejects with the reason', () =>
    step(async (rig, executor) => {
      const controller = new AbortController();
      const reason = new Error('the user stopped it');
      let seen = '';
      const running = executor.run(
        rig.spec(['/bin/sh', '-c', 'echo up; trap "" TERM INT; sleep 600 & sleep 600; sleep 600']),
        {
          output: (_, chunk) => {
            seen += Buffer.from(chunk).toString();
            controller.abort(reason);
          },
          signal: controller.signal,
        },
      );
      await expect(running).rejects.toBe(reason);
      expect(seen).toBe('up\n');
    }));
  it('one after another: a step’s end says nothing of those before it', () =>
    step(async (rig, executor) => {
      const failing = await rig.sh(executor, 'echo out; echo err >&2; exit 3', { hostname: 'first' });
      expect(failing).toMatchObject({ status: { kind: 'exited', code: 3 }, stdout: 'out\n', stderr: 'err\n' });
      await notStarted(executor, rig.spec(['nosuch']));
      expect((await rig.sh(executor, 'sleep 600 & kill -9 $!; wait $!')).status).toMatchObject({
        kind: 'exited',
        code: 137,
      });
      const stop = new AbortController();
      const stopped = executor.run(rig.spec(['sleep', '600']), { output: () => undefined, signal: stop.signal });
      stop.abort(new Error('stop'));
      await expect(stopped).rejects.toThrow('stop');
      const last = await rig.sh(executor, 'hostname; pwd', { hostname: 'last', process: { cwd: '/etc' } });
      expect(last).toMatchObject({ status: { kind: 'exited', code: 0 }, stdout: 'last\n/etc\n', stderr: '' });
    }));
  it('many: 20 steps at once do not get in each other’s way', () =>
    step(async (rig, executor) => {
      const results = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const [upper, work] = [join(rig.top, `upper-${i}`), join(rig.top, `work-${i}`)];
          await Promise.all([mkdir(upper), mkdir(work)]);
          const root = { type: 'overlay', lower: [rig.lower], upper, work, xattrs: 'trusted' } as const;
          return rig.sh(executor, `echo ${i} > /data/n; cat /data/n`, { root });
        }),
      );
      expect(results.map(({ stdout }) => stdout)).toEqual(results.map((_, i) => `${i}\n`));
    }));
}

function limitTests(it: RegisterTest, step: StepTest): void {
  it('memory: beyond the limit the step ends as out of memory, with limit and peak', () =>
    step(async (rig, executor) => {
      const limitBytes = 20 << 20;
      const { status } = await rig.sh(executor, 'tail -c 200000000 /dev/zero | wc -c', {
        resources: { memoryBytes: limitBytes },
      });
      // The shell survives its killed child, or not.
      if (status.kind !== 'out-of-memory') expect(status).toMatchObject({ kind: 'exited' });
      const direct = await rig.run(
        executor,
        rig.spec(['tail', '-c', '200000000', '/dev/zero'], { resources: { memoryBytes: limitBytes } }),
      );
      expect(direct.status).toMatchObject({ kind: 'out-of-memory', limitBytes });
      expect(direct.status.usage.peakMemoryBytes).toBeGreaterThan(limitBytes / 2);
    }));
  it('pids: no more processes than the limit', () =>
    step(async (rig, executor) => {
      const script = 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & done; true';
      const { status, stderr } = await rig.sh(executor, script, { resources: { pids: 5 } });
      expect(stderr).toMatch(/fork/);
      expect(status).toMatchObject({ kind: 'exited' });
    }));
  it('pids: are limited where nothing says how many', () =>
    step(async (rig, executor) => {
      const { stdout } = await rig.sh(executor, 'cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null');
      expect(stdout).toBe(`${defaultPids()}\n`);
    }));
  it('/proc: tells of no more memory and processors than the limits leave', () =>
    step(async (rig, executor) => {
      const script = [
        'grep -E "^(MemTotal|SwapTotal)" /proc/meminfo | tr -s " "; grep -c ^processor /proc/cpuinfo; grep -c "^cpu[0-9]" /proc/stat',
        'cat /sys/devices/system/cpu/online; nproc; (echo x > /proc/meminfo) 2>/dev/null || echo read-only',
      ];
      const resources = { memoryBytes: 64 << 20, memorySwapBytes: 64 << 20, cpusetCpus: '0' };
      const { stdout } = await rig.sh(executor, script.join('; '), { resources });
      expect(stdout).toBe('MemTotal: 65536 kB\nSwapTotal: 0 kB\n1\n1\n0\n1\nread-only\n');
    }));
  it('/proc: without limits tells of the machine', () =>
    step(async (rig, executor) => {
      const { stdout } = await rig.sh(
        executor,
        'grep -E " /(proc/[a-z]*info|proc/stat) " /proc/mounts; head -1 /proc/meminfo',
      );
      expect(stdout).toBe(`${(await readFile('/proc/meminfo', 'utf8')).split('\n')[0]}\n`);
    }));
  it('usage: time and memory are told', () =>
    step(async (rig, executor) => {
      const { status } = await rig.sh(executor, 'head -c 20000000 /dev/zero | wc -c');
      expect(status.usage.cpuMs).toBeGreaterThan(0);
      expect(status.usage.peakMemoryBytes).toBeGreaterThan(0);
    }));
}
