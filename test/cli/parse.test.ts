import { describe, expect, test } from 'vitest';
import { parseAddHost } from '../../src/cli/parse-add-host.ts';
import { parseCall } from '../../src/cli/parse-call.ts';
import { parseFields, splitRecord } from '../../src/cli/parse-fields.ts';
import { parseAnnotations, parseBuildArgs, parseKeyValues, parseLabels } from '../../src/cli/parse-key-value.ts';
import { parsePlatforms } from '../../src/cli/parse-platforms.ts';
import { parseResources } from '../../src/cli/parse-resources.ts';
import { parseSecret, parseSsh } from '../../src/cli/parse-secret.ts';
import { parseCount, parseDurationMs, parseLimit, parseSize } from '../../src/cli/parse-size.ts';
import { parseUlimit } from '../../src/cli/parse-ulimit.ts';
import { hostPlatform } from '../../src/oci/platform.ts';
import { thrown } from './thrown.ts';

/** Cases that parse, and cases that fail with a message and, behind ` | `, a hint. */
function checkTable<T>(
  parse: (text: string) => T,
  table: { ok: readonly [string, T][]; bad: readonly [string, string][] },
): void {
  test.each(table.ok)('%j is understood', (text, value) => {
    expect(parse(text)).toEqual(value);
  });
  test.each(table.bad)('%j is refused', (text, message) => {
    const { code, message: problem, hint, exitStatus } = thrown(() => parse(text));
    expect({ code, exitStatus, text: hint === undefined ? problem : `${problem} | ${hint}` }).toEqual({
      code: 'USAGE',
      exitStatus: 2,
      text: message,
    });
  });
}

const size = (text: string): number => parseSize('--x', text);

describe('sizes', () => {
  checkTable(size, {
    ok: [
      ['1024', 1024],
      ['64m', 64 * 1024 ** 2],
      ['64M', 64 * 1024 ** 2],
      ['64mb', 64 * 1024 ** 2],
      ['64MiB', 64 * 1024 ** 2],
      ['1.5g', 1.5 * 1024 ** 3],
      ['2 GiB', 2 * 1024 ** 3],
      ['10b', 10],
      ['1t', 1024 ** 4],
      ['0', 0],
    ],
    bad: ['', '-1', 'm', '1x', '1.m', '1 2', '0x10', '1e3'].map((text) => [
      text,
      `--x: invalid size ${JSON.stringify(text)} | write bytes, or a number with k, m, g or t`,
    ]),
  });
  test('a size beyond what numbers hold exactly is refused', () => {
    expect(thrown(() => size('9007199254740993')).message).toBe('--x: 9007199254740993 is too large');
  });
  test('-1 stands for no limit where limits are parsed', () => {
    expect([parseLimit('--x', '-1'), parseLimit('--x', '1k')]).toEqual([-1, 1024]);
  });
  test.each(['', '1.5', '-1', 'x', '99999999999999999999'])('%j is no count', (text) => {
    expect(thrown(() => parseCount('--x', text)).code).toBe('USAGE');
  });
});

describe('durations', () => {
  checkTable((text) => parseDurationMs('--x', text), {
    ok: [
      ['90s', 90_000],
      ['1h30m', 5_400_000],
      ['7d', 604_800_000],
      ['1.5h', 5_400_000],
      ['10ms', 10],
    ],
    bad: ['', '10', 'h', '1h x', '-1h'].map((text) => [
      text,
      `--x: invalid duration ${JSON.stringify(text)} | write numbers with units: 30m, 24h, 7d`,
    ]),
  });
});

describe('ulimits', () => {
  checkTable(parseUlimit, {
    ok: [
      ['nofile=1024', { name: 'nofile', soft: 1024, hard: 1024 }],
      ['nofile=1024:2048', { name: 'nofile', soft: 1024, hard: 2048 }],
      ['core=-1', { name: 'core', soft: -1, hard: -1 }],
      ['core=0:-1', { name: 'core', soft: 0, hard: -1 }],
    ],
    bad: [
      ['nofile', '--ulimit: invalid value "nofile" | write NAME=SOFT[:HARD]'],
      ['nofiles=1', '--ulimit: no limit is named "nofiles" | did you mean nofile?'],
      ['nofile=2:1', '--ulimit: the soft limit 2 of nofile is above the hard limit 1'],
      ['nofile=-1:1', '--ulimit: the soft limit -1 of nofile is above the hard limit 1'],
      ['nofile=x', '--ulimit: "x" is not a whole number of at least -1'],
      ['nofile=1:2:3', '--ulimit: "2:3" is not a whole number of at least -1'],
    ],
  });
});

describe('resources', () => {
  checkTable((text) => parseResources([text]), {
    ok: [
      ['memory=1g', { memoryBytes: 1024 ** 3 }],
      ['memory=1g,memory-swap=-1', { memoryBytes: 1024 ** 3, memorySwapBytes: -1 }],
      [
        'cpu-shares=512,cpu-period=100000,cpu-quota=50000',
        { cpuShares: 512, cpuPeriodUs: 100_000, cpuQuotaUs: 50_000 },
      ],
      ['cpuset-cpus=0-1,3,memory=1m', { cpusetCpus: '0-1,3', memoryBytes: 1024 ** 2 }],
      ['"cpuset-cpus=0,2",cpuset-mems=0', { cpusetCpus: '0,2', cpusetMems: '0' }],
      ['pids=100', { pids: 100 }],
    ],
    bad: [
      ['memroy=1g', '--resource: no resource is named "memroy" | did you mean memory?'],
      ['memory', '--resource: memory has no value | write memory=VALUE'],
      [
        '__proto__=1',
        '--resource: no resource is named "__proto__" | choose from: memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, cpuset-mems, pids',
      ],
      ['cpuset-cpus=a', '--resource cpuset-cpus: invalid list "a" | write numbers and ranges: 0,2-3'],
      ['cpu-shares=1', '--resource cpu-shares: "1" is not a whole number of at least 2'],
    ],
  });
  test('of a repeated resource the last one counts', () => {
    expect(parseResources(['memory=1g,pids=5', 'memory=2g'])).toEqual({ memoryBytes: 2 * 1024 ** 3, pids: 5 });
  });
});

describe('hosts', () => {
  checkTable(parseAddHost, {
    ok: [
      ['db:10.0.0.1', { host: 'db', address: '10.0.0.1' }],
      ['db=10.0.0.1', { host: 'db', address: '10.0.0.1' }],
      ['db:::1', { host: 'db', address: '::1' }],
      ['db=[::1]', { host: 'db', address: '::1' }],
      ['db:[2001:db8::1]', { host: 'db', address: '2001:db8::1' }],
      ['me:host-gateway', { host: 'me', address: 'host-gateway' }],
    ],
    bad: [
      ['db', '--add-host: invalid value "db" | write NAME:ADDRESS'],
      ['db:', '--add-host: invalid value "db:" | write NAME:ADDRESS'],
      [':1.2.3.4', '--add-host: invalid value ":1.2.3.4" | write NAME:ADDRESS'],
      ['db:1.2.3', '--add-host: "1.2.3" is not an IP address | write NAME:ADDRESS, or NAME:host-gateway'],
      ['a b:1.2.3.4', '--add-host: a host name cannot hold white space: "a b"'],
      [
        'db:1.2.3.4\nevil',
        '--add-host: "1.2.3.4\\nevil" is not an IP address | write NAME:ADDRESS, or NAME:host-gateway',
      ],
    ],
  });
});

describe('secrets', () => {
  const env = { TOKEN: 'x', HOME: '/home/me' };
  checkTable((text) => parseSecret(text, env), {
    ok: [
      ['id=a,src=f', { id: 'a', from: { kind: 'file', path: 'f' } }],
      ['id=a,source=~/f', { id: 'a', from: { kind: 'file', path: '/home/me/f' } }],
      ['id=a,env=B', { id: 'a', from: { kind: 'env', name: 'B' } }],
      ['id=TOKEN', { id: 'TOKEN', from: { kind: 'env', name: 'TOKEN' } }],
      ['id=other', { id: 'other', from: { kind: 'file', path: 'other' } }],
      ['id=TOKEN,type=file', { id: 'TOKEN', from: { kind: 'file', path: 'TOKEN' } }],
      ['id=a,type=env', { id: 'a', from: { kind: 'env', name: 'a' } }],
      ['type=env,id=a,src=B', { id: 'a', from: { kind: 'env', name: 'B' } }],
      ['id=a,"src=x,y"', { id: 'a', from: { kind: 'file', path: 'x,y' } }],
    ],
    bad: [
      ['src=f', '--secret: no id in "src=f" | write id=ID,src=FILE or id=ID,env=NAME'],
      ['a', '--secret: unknown key "a" | choose from: id, src, source, env, type'],
      ['id=a,sorce=b', '--secret: unknown key "sorce" | did you mean source?'],
      ['id=a,type=fil', '--secret: unknown type "fil" | did you mean file?'],
      ['id=', '--secret: id has no value | write id=VALUE'],
      ['id=a,"src=b', '--secret: misplaced quote in "id=a,\\"src=b" | quote the whole field: "key=a,b"'],
    ],
  });
});

describe('ssh', () => {
  checkTable((text) => parseSsh(text, { SSH_AUTH_SOCK: '/run/agent', HOME: '/h' }), {
    ok: [
      ['default', { id: 'default', paths: ['/run/agent'] }],
      ['default=/s', { id: 'default', paths: ['/s'] }],
      ['k=~/a,b', { id: 'k', paths: ['/h/a', 'b'] }],
    ],
    bad: [
      ['', '--ssh: no id in "" | write default, or ID=SOCKET'],
      ['=x', '--ssh: no id in "=x" | write default, or ID=SOCKET'],
    ],
  });
  test('without an agent a bare id is refused', () => {
    expect(thrown(() => parseSsh('default', {})).message).toBe(
      '--ssh default: no agent is running here: SSH_AUTH_SOCK is not set',
    );
  });
});

describe('keys and values', () => {
  test('build arguments without a value come from the environment, perhaps as nothing', () => {
    expect([...parseBuildArgs(['A=1', 'B', 'C', 'D=', 'E=x=y'], { B: 'b' })]).toEqual([
      ['A', '1'],
      ['B', 'b'],
      ['C', undefined],
      ['D', ''],
      ['E', 'x=y'],
    ]);
  });
  test.each(['', '=x'])('build argument %j is refused', (text) => {
    expect(thrown(() => parseBuildArgs([text], {})).message).toBe(`--build-arg: invalid value ${JSON.stringify(text)}`);
  });
  test('of a repeated key the last value counts', () => {
    expect([...parseKeyValues('--x', ['a=1', 'b=2', 'a=3'])]).toEqual([
      ['a', '3'],
      ['b', '2'],
    ]);
  });
  test('a label without a value is empty', () => {
    expect([...parseLabels(['a', 'b=c'])]).toEqual([
      ['a', ''],
      ['b', 'c'],
    ]);
  });
  test('annotations may name the manifest', () => {
    expect(parseAnnotations(['org.x=1', 'manifest:org.y=a:b', 'ns/k:v=2'])).toEqual({
      'org.x': '1',
      'org.y': 'a:b',
      'ns/k:v': '2',
    });
  });
  test.each([
    ['index:a=b', '--annotation: index cannot be annotated yet'],
    ['manifest[linux/amd64]:a=b', '--annotation: manifest[linux/amd64] cannot be annotated yet'],
    ['manifst:a=b', '--annotation: unknown type "manifst"'],
    ['a', '--annotation: invalid value "a"'],
  ])('annotation %j is refused', (text, message) => {
    expect(thrown(() => parseAnnotations([text])).message).toBe(message);
  });
});

describe('platforms', () => {
  test('are normalized, each once, local being this machine', () => {
    const { os, architecture } = hostPlatform();
    expect(parsePlatforms(['linux/x86_64', 'linux/amd64', 'linux/arm64/v8', 'local'])).toEqual([
      ...new Set(['linux/amd64', 'linux/arm64', `${os}/${architecture}`]),
    ]);
  });
  test('a bad one is refused', () => {
    expect(thrown(() => parsePlatforms(['linux/amd64/v1/x'])).message).toBe(
      '--platform: invalid platform "linux/amd64/v1/x"',
    );
  });
});

describe('calls', () => {
  checkTable(parseCall, {
    ok: [
      ['check', { method: 'check', format: 'text' }],
      ['lint,format=sarif', { method: 'check', format: 'sarif' }],
      ['outline,format=json', { method: 'outline', format: 'json' }],
      ['frontend.targets', { method: 'targets', format: 'text' }],
      ['build', { method: 'build', format: 'text' }],
    ],
    bad: [
      ['chek', '--call: unknown value "chek" | did you mean check?'],
      ['check,fromat=json', '--call: unknown option "fromat" | write format=json'],
      ['outline,format=sarif', 'format: unknown value "sarif" | choose from: text, json'],
    ],
  });
});

describe('fields', () => {
  test('are separated by commas unless quoted', () => {
    expect(splitRecord('--x', 'a=1,"b=2,3","c=""q""",d')).toEqual(['a=1', 'b=2,3', 'c="q"', 'd']);
    expect(splitRecord('--x', '')).toEqual(['']);
    expect(splitRecord('--x', 'a,')).toEqual(['a', '']);
  });
  test.each(['a"b', '"a"b', '"a'])('%j has a misplaced quote', (text) => {
    expect(thrown(() => splitRecord('--x', text)).code).toBe('USAGE');
  });
  test('have lower-case keys and values as they are', () => {
    expect(parseFields('--x', 'Type=OCI,Flag, dest = x')).toEqual([
      { key: 'type', value: 'OCI' },
      { key: 'Flag' },
      { key: 'dest', value: ' x' },
    ]);
  });
});
