import { describe, expect, it } from 'vitest';
import {
  formatPlatform,
  formatPlatformFull,
  hostPlatform,
  normalizePlatform,
  parsePlatform,
  type Platform,
  platformMatcher,
  selectPlatform,
} from '../../src/oci/platform.ts';

const host = hostPlatform();

function platform(text: string): Platform {
  return parsePlatform(text)!;
}

describe('parsePlatform', () => {
  it.each<[string, Platform]>([
    ['linux/amd64', { os: 'linux', architecture: 'amd64' }],
    ['Linux/x86_64', { os: 'linux', architecture: 'amd64' }],
    ['linux/x86-64', { os: 'linux', architecture: 'amd64' }],
    ['linux/amd64/v1', { os: 'linux', architecture: 'amd64' }],
    ['linux/amd64/v3', { os: 'linux', architecture: 'amd64', variant: 'v3' }],
    ['arm64', { os: 'linux', architecture: 'arm64' }],
    ['aarch64', { os: 'linux', architecture: 'arm64' }],
    ['linux/arm64/v8', { os: 'linux', architecture: 'arm64', variant: 'v8' }],
    ['linux/arm64/v9', { os: 'linux', architecture: 'arm64', variant: 'v9' }],
    ['arm', { os: 'linux', architecture: 'arm' }],
    ['linux/arm', { os: 'linux', architecture: 'arm' }],
    ['linux/arm/v7', { os: 'linux', architecture: 'arm', variant: 'v7' }],
    ['linux/arm/6', { os: 'linux', architecture: 'arm', variant: 'v6' }],
    ['armhf', { os: 'linux', architecture: 'arm' }],
    ['armel', { os: 'linux', architecture: 'arm', variant: 'v6' }],
    ['i386', { os: 'linux', architecture: '386' }],
    ['linux', { os: 'linux', architecture: host.architecture }],
    ['macos/arm64', { os: 'darwin', architecture: 'arm64' }],
    ['whatever/odd', { os: 'whatever', architecture: 'odd' }],
    ['windows(10.0.17763)/amd64', { os: 'windows', architecture: 'amd64', 'os.version': '10.0.17763' }],
    [
      'windows(10.0+win32k+x%2By)/amd64',
      { os: 'windows', architecture: 'amd64', 'os.version': '10.0', 'os.features': ['win32k', 'x+y'] },
    ],
  ])('%s: is understood', (text, expected) => {
    expect(parsePlatform(text)).toEqual(expected);
  });

  it.each([
    '',
    'nonsense',
    'linux/',
    '/amd64',
    'linux/amd64/v1/x',
    'linux/*',
    '*',
    'linux/am d64',
    'windows(%zz)/amd64',
    'linux(1',
  ])('%j: is refused', (text) => {
    expect(parsePlatform(text)).toBeUndefined();
  });
});

describe('formatPlatform', () => {
  it('forms: short and full', () => {
    const full = platform('windows(10.0+win32k+x%2By)/amd64');
    expect(formatPlatform(full)).toBe('windows/amd64');
    expect(formatPlatformFull(full)).toBe('windows(10.0+win32k+x%2By)/amd64');
    expect(formatPlatformFull(platform('linux/arm/v7'))).toBe('linux/arm/v7');
    expect(formatPlatform({ os: '', architecture: '' })).toBe('unknown');
  });
});

describe('normalizePlatform', () => {
  it.each([
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/amd64', 'linux/amd64'],
    ['linux/arm/v6', 'linux/arm/v6'],
  ])('%s: is the same as %s', (text, normal) => {
    expect(formatPlatform(normalizePlatform(platform(text)))).toBe(normal);
  });

  it('other members: stay, features sorted and once', () => {
    expect(
      normalizePlatform({ os: 'Linux', architecture: 'X86_64', 'os.version': '1', 'os.features': ['b', 'a', 'b'] }),
    ).toEqual({
      os: 'linux',
      architecture: 'amd64',
      'os.version': '1',
      'os.features': ['a', 'b'],
    });
  });
});

describe('platformMatcher', () => {
  it.each([
    ['linux/amd64', ['linux/amd64', 'linux/386']],
    ['linux/amd64/v3', ['linux/amd64/v3', 'linux/amd64/v2', 'linux/amd64', 'linux/386']],
    ['linux/arm/v7', ['linux/arm/v7', 'linux/arm/v6', 'linux/arm/v5']],
    ['linux/arm', ['linux/arm/v7', 'linux/arm/v6', 'linux/arm/v5']],
    ['linux/arm64', ['linux/arm64/v8', 'linux/arm/v8', 'linux/arm/v7', 'linux/arm/v6', 'linux/arm/v5']],
    ['linux/arm64/v8.2', ['linux/arm64/v8.2', 'linux/arm64/v8.1', 'linux/arm64', 'linux/arm/v8']],
    ['linux/arm64/v9.1', ['linux/arm64/v9.1', 'linux/arm64/v9', 'linux/arm64/v8.6', 'linux/arm64/v8.5', 'linux/arm64']],
    ['linux/riscv64', ['linux/riscv64']],
  ])('%s: ranks %j in this order', (wanted, order) => {
    const ranks = order.map((text) => platformMatcher(platform(wanted)).rank(platform(text)));
    expect(ranks).not.toContain(undefined);
    expect(ranks).toEqual(ranks.toSorted((a, b) => a! - b!));
    expect(ranks[0]).toBe(0);
  });

  it.each([
    ['linux/amd64', 'linux/amd64/v2'],
    ['linux/amd64', 'linux/arm64'],
    ['linux/386', 'linux/amd64'],
    ['linux/arm/v6', 'linux/arm/v7'],
    ['linux/arm/v7', 'linux/arm64'],
    ['linux/amd64', 'windows/amd64'],
    ['linux/amd64', 'linux(+special)/amd64'],
  ])('%s: cannot be replaced by %s', (wanted, candidate) => {
    expect(platformMatcher(platform(wanted)).rank(platform(candidate))).toBeUndefined();
  });

  it('features: the candidate may need what is wanted, not more', () => {
    expect(platformMatcher(platform('linux(+a+b)/amd64')).rank(platform('linux(+b)/amd64'))).toBe(0);
  });

  it('attestations: never match, whatever is wanted', () => {
    const unknown = { os: 'unknown', architecture: 'unknown' };
    expect(platformMatcher(unknown).rank(unknown)).toBeUndefined();
  });
});

describe('selectPlatform', () => {
  const candidates = [
    'linux/arm/v6',
    'linux/arm/v7',
    'linux/amd64',
    'unknown/unknown',
    'linux/arm64/v8',
    'linux/386',
  ].map((text) => ({ text, platform: platform(text) }));

  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/arm64', 'linux/arm64/v8'],
    ['linux/arm/v7', 'linux/arm/v7'],
    ['linux/arm/v6', 'linux/arm/v6'],
    ['linux/arm/v8', 'linux/arm/v7'],
    ['linux/s390x', undefined],
  ])('%s: gets %s', (wanted, chosen) => {
    expect(selectPlatform(candidates, platform(wanted))?.text).toBe(chosen);
  });

  it('equals: the first is taken', () => {
    const twice = [
      { id: 1, platform: platform('linux/amd64') },
      { id: 2, platform: platform('linux/amd64') },
    ];
    expect(selectPlatform(twice, platform('linux/amd64'))?.id).toBe(1);
  });

  it('no platform: is taken where nothing else matches', () => {
    const mixed: { id: number; platform?: Platform }[] = [{ id: 1 }, { id: 2, platform: platform('linux/arm64') }];
    expect(selectPlatform(mixed, platform('linux/arm64'))?.id).toBe(2);
    expect(selectPlatform(mixed, platform('linux/s390x'))?.id).toBe(1);
  });
});
