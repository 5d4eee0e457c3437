import { describeDifferences } from './differential-case.ts';

describeDifferences('RUN', [
  {
    says: 'shell and exec form; exec form has no shell (trap 33)',
    dockerfile: 'FROM busybox\nENV v=value\nRUN echo $v "two  spaces" > /a\nRUN ["touch", "/$v", "/b c"]\n',
    expected: {
      files: { '/a': 'file 644 0:0 "value two  spaces\\n"', '/$v': 'file 644 0:0 ""', '/b c': 'file 644 0:0 ""' },
    },
  },
  {
    says: 'without a shell in the image the error names what is missing (trap 32)',
    dockerfile: 'FROM scratch\nRUN echo x\n',
    fails: /\/bin\/sh/,
  },
  {
    says: 'a failing command fails the build and names its status',
    dockerfile: 'FROM busybox\nRUN exit 7\n',
    fails: /process "\/bin\/sh -c exit 7" did not complete successfully: exit code: 7/,
  },
  {
    says: 'the user: ids, groups and HOME from passwd and group (trap 11)',
    dockerfile: `FROM busybox
RUN echo two:x:2000:2000::/home/two:/bin/sh >> /etc/passwd && printf 'two:x:2000:\\nextra:x:3000:two\\n' >> /etc/group && chmod 777 /tmp
USER two
RUN id > /tmp/named; echo $HOME >> /tmp/named
USER two:extra
RUN id > /tmp/group; echo $HOME >> /tmp/group
USER 2000
RUN id > /tmp/number
USER 4321
RUN id > /tmp/unknown; echo $HOME >> /tmp/unknown; touch /tmp/f
USER 11:12
RUN id > /tmp/both
USER :extra
`,
    expected: { files: { '/tmp/f': 'file 644 4321:0 ""' }, config: { User: ':extra' } },
  },
  {
    says: 'the user: a name that passwd does not have is refused',
    dockerfile: 'FROM busybox\nUSER ghost\nRUN id\n',
    fails: /ghost/,
  },
  {
    says: 'the working directory, umask, standard input and process id 1',
    dockerfile:
      'FROM busybox\nWORKDIR /w\nRUN pwd > out; umask >> out; wc -c >> out; echo $$ >> out; mkdir d; touch f\n',
    expected: {
      files: {
        '/w/out': 'file 644 0:0 "/w\\n0022\\n0\\n1\\n"',
        '/w/d': 'directory 755 0:0',
        '/w/f': 'file 644 0:0 ""',
      },
    },
    deviations: ['process-id'],
  },
  {
    says: 'nothing changes: the layer has no more than the mount points that the image lacks, but there is one',
    dockerfile: 'FROM busybox\nRUN true\n',
    expected: { layers: 1, lastLayer: ['dev', 'proc', 'sys'] },
  },
  {
    says: '/run is persistent, /etc/hosts and resolv.conf leave nothing (trap 20)',
    dockerfile:
      'FROM busybox\nRUN mkdir -p /run/x && echo kept > /run/x/f && cat /etc/hosts /etc/resolv.conf > /dev/null\nRUN cp /run/x/f /f\n',
    expected: {
      files: {
        '/run/x/f': 'file 644 0:0 "kept\\n"',
        '/etc/hosts': null,
        '/etc/resolv.conf': null,
        '/proc': 'directory 755 0:0',
        '/sys': 'directory 755 0:0',
        '/dev': 'directory 755 0:0',
      },
      lastLayer: ['f'],
    },
  },
  {
    says: 'a background process is ended with the step (trap 34)',
    dockerfile: 'FROM busybox\nRUN (sleep 1; touch /late) & echo started > /out\nRUN test ! -e /late\n',
    expected: { files: { '/out': 'file 644 0:0 "started\\n"', '/late': null } },
  },
  {
    says: 'setgid directories hand down their group, setuid and sticky bits stay (trap 35)',
    dockerfile:
      'FROM busybox\nRUN mkdir /d && chgrp 50 /d && chmod 2775 /d && touch /d/f && mkdir /d/s && cp /bin/busybox /su && chown 5:6 /su && chmod 4755 /su && mkdir -m 1777 /t\n',
    expected: {
      files: {
        '/d': 'directory 2775 0:50',
        '/d/f': 'file 644 0:50 ""',
        '/d/s': 'directory 2755 0:50',
        '/t': 'directory 1777 0:0',
      },
    },
  },
  {
    says: 'no capabilities beyond the default: mounting is refused, chown and setuid work',
    dockerfile:
      'FROM busybox\nRUN ! mount -t tmpfs t /tmp && touch /f && chown 99:98 /f && mkfifo /p && chmod 600 /p\n',
    expected: { files: { '/f': 'file 644 99:98 ""', '/p': 'fifo 600 0:0' } },
  },
  {
    says: 'mknod: devices are made and exported',
    dockerfile: 'FROM busybox\nRUN mknod /null c 1 3 && mknod /disk b 8 1\n',
    alone: 'buildah grants no CAP_MKNOD',
    expected: { files: { '/null': 'character 644 0:0 1:3', '/disk': 'block 644 0:0 8:1' } },
  },
  {
    says: 'the host name is buildkitsandbox',
    dockerfile: 'FROM busybox\nRUN hostname > /out; grep -c buildkitsandbox /etc/hosts >> /out\n',
    alone: 'buildah takes random ones',
    expected: { files: { '/out': 'file 644 0:0 "buildkitsandbox\\n1\\n"' } },
  },
  {
    says: '--network=none has only loopback',
    dockerfile: 'FROM busybox\nRUN --network=none ls /sys/class/net > /out\n',
    expected: { files: { '/out': 'file 644 0:0 "lo\\n"' } },
    alone: 'the isolation of buildah in this rig has the network of the host',
  },
  {
    says: '--network=default, and an unknown one is refused',
    dockerfile: 'FROM busybox\nRUN --network=default true\nRUN --network=bridge2 true\n',
    fails: /bridge2/,
    alone: 'only the refusal matters',
  },
  {
    says: '--network=host and --security=insecure need to be allowed',
    dockerfile: 'FROM busybox\nRUN --network=host true\n',
    fails: /network\.host/,
    alone: 'buildah asks for no permission',
  },
  {
    says: '--security=insecure has all capabilities once allowed',
    dockerfile:
      'FROM busybox\nRUN --security=insecure mount -t tmpfs t /tmp && echo mounted > /out\nRUN --security=sandbox ! mount -t tmpfs t /tmp\n',
    tsbuildArgs: ['--allow', 'security.insecure'],
    alone: 'buildah 1.28 does not know the flag',
    expected: { files: { '/out': 'file 644 0:0 "mounted\\n"' } },
  },
  {
    says: '--device: one that is required has to be there',
    dockerfile: 'FROM busybox\nRUN --device=vendor.example/dev=x,required true\n',
    alone: 'buildah 1.28 does not know the flag',
    fails: /device/,
  },
]);

describeDifferences('RUN --mount', [
  {
    says: 'bind: the context, read-only, and nothing of it stays',
    dockerfile:
      'FROM busybox\nWORKDIR /w\nRUN --mount=target=/ctx cat /ctx/d/f > /out && ! touch /ctx/x\nRUN --mount=type=bind,src=d/f,dst=/file,ro cat /file >> /out\n',
    context: { 'd/f': 'text\n' },
    expected: {
      files: { '/out': 'file 644 0:0 "text\\ntext\\n"', '/ctx': null, '/file': null },
    },
  },
  {
    says: 'bind: rw lets a step write, and drops it',
    dockerfile:
      'FROM busybox\nRUN --mount=type=bind,target=/ctx,rw echo new > /ctx/f && cp /ctx/f /out\nRUN --mount=target=/ctx,readwrite cat /ctx/f >> /out\n',
    context: { f: 'old\n' },
    alone: 'buildah 1.28 writes into the context itself',
    expected: { files: { '/out': 'file 644 0:0 "new\\nold\\n"', '/ctx': null } },
  },
  {
    says: 'bind: from a stage and from an image',
    dockerfile:
      'FROM busybox AS made\nRUN mkdir /d && echo made > /d/f\nFROM busybox\nRUN --mount=from=made,source=/d,target=/m --mount=type=bind,from=busybox,source=etc/passwd,target=/p cat /m/f > /out && wc -l < /p >> /out\n',
    expected: { files: { '/out': 'file 644 0:0 "made\\n4\\n"', '/m': null, '/p': null } },
  },
  {
    says: 'bind: stubs that were filled stay, directories that were there too',
    dockerfile:
      'FROM busybox\nRUN mkdir -p /there/sub\nRUN --mount=target=/there/sub/new true\nRUN --mount=target=/a/b/c touch /a/kept\n',
    deviations: ['mount-places'],
    expected: { files: { '/there/sub': 'directory 755 0:0', '/there/sub/new': null, '/a/kept': 'file 644 0:0 ""' } },
  },
  {
    says: 'cache: kept between steps, shared by its id, never in the image',
    dockerfile: `FROM busybox
RUN --mount=type=cache,target=/c echo one > /c/f
RUN --mount=type=cache,target=/c cat /c/f > /out && test ! -e /c/g
RUN --mount=type=cache,id=/c,target=/elsewhere,readonly cat /elsewhere/f >> /out && ! touch /elsewhere/x
RUN --mount=type=cache,id=other,target=/c,mode=0700,uid=5,gid=6,sharing=locked stat -c "%a %u:%g" /c >> /out
RUN --mount=type=cache,id=seeded,target=/c,from=busybox,source=/etc cat /c/group | head -n1 >> /out
`,
    alone: 'buildah 1.28 keeps other ids and has no readonly caches',
    expected: {
      files: { '/out': 'file 644 0:0 "one\\none\\n700 5:6\\nroot:x:0:\\n"', '/c': null, '/elsewhere': null },
    },
  },
  {
    says: 'cache: in its simplest form',
    dockerfile:
      'FROM busybox\nRUN --mount=type=cache,target=/c echo one > /c/f\nRUN --mount=type=cache,target=/c cp /c/f /out\n',
  },
  {
    says: 'tmpfs: what is written there is gone',
    dockerfile:
      'FROM busybox\nRUN --mount=type=tmpfs,target=/t,size=1m echo x > /t/f && cp /t/f /out && ! dd if=/dev/zero of=/t/big bs=1M count=2 2>/dev/null\nRUN test ! -e /t/f\n',
    alone: 'buildah 1.28 takes size otherwise',
    expected: { files: { '/out': 'file 644 0:0 "x\\n"', '/t': null } },
  },
  {
    says: 'secret: file, mode, owner, target, env; nothing of it in image or history (trap 31)',
    dockerfile: `FROM busybox
RUN --mount=type=secret,id=s stat -c "%a %u:%g" /run/secrets/s > /out && wc -c < /run/secrets/s >> /out
RUN --mount=type=secret,id=s,target=/key,mode=0440,uid=5,gid=6 stat -c "%a %u:%g" /key >> /out
RUN --mount=type=secret,id=s,env=TOKEN test "$TOKEN" = hush-hush && test ! -e /run/secrets/s
RUN --mount=type=secret,id=missing ls /run/secrets >> /out 2>/dev/null || true
`,
    context: { secret: 'hush-hush' },
    args: ['--secret', 'id=s,src={CONTEXT}/secret'],
    alone: 'buildah 1.28 knows no env=',
    expected: { files: { '/out': 'file 644 0:0 "400 0:0\\n9\\n440 5:6\\n"', '/run': null, '/key': null } },
  },
  {
    says: 'secret: its file, as both have it',
    dockerfile: 'FROM busybox\nRUN --mount=type=secret,id=s,mode=0444 cat /run/secrets/s > /out\n',
    context: { secret: 'hush-hush' },
    args: ['--secret', 'id=s,src={CONTEXT}/secret'],
  },
  {
    says: 'secret: a required one that is missing is refused',
    dockerfile: 'FROM busybox\nRUN --mount=type=secret,id=nope,required=true true\n',
    fails: /nope/,
  },
  {
    says: 'ssh: one that is missing is left out, a required one is refused',
    dockerfile: 'FROM busybox\nRUN --mount=type=ssh test -z "$SSH_AUTH_SOCK"\nRUN --mount=type=ssh,required true\n',
    fails: /ssh/,
    alone: 'only the refusal matters',
  },
  {
    says: 'values are expanded, a relative target is below WORKDIR',
    dockerfile:
      'FROM busybox\nARG d=d\nENV t=/mnt/x\nWORKDIR /w\nRUN --mount=source=$d,target=${t} --mount=source=$d,target=rel/x cat /mnt/x/f rel/x/f > /out\n',
    context: { 'd/f': 'text' },
    alone: 'buildah 1.28 does not expand them',
    expected: { files: { '/out': 'file 644 0:0 "texttext"', '/w/rel': null } },
  },
  {
    says: 'a $ in from is refused',
    dockerfile: 'FROM busybox AS a\nFROM busybox\nRUN --mount=from=$a,target=/x true\n',
    fails: /define alias stage/,
    alone: 'only the refusal matters',
  },
  {
    says: 'an unknown key is refused',
    dockerfile: 'FROM busybox\nRUN --mount=tpye=cache,target=/x true\n',
    fails: /unexpected key 'tpye'/,
    alone: 'only the refusal matters',
  },
  {
    says: 'a missing source is refused',
    dockerfile: 'FROM busybox\nRUN --mount=source=missing,target=/x true\n',
    fails: /missing/,
    alone: 'only the refusal matters',
  },
]);
