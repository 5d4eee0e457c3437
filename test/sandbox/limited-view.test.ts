import { expect, it } from 'vitest';
import { formatCpuList, parseCpuList } from '../../sandbox/cpu-list.ts';
import { limitedView } from '../../sandbox/limited-view.ts';

const meminfo = `MemTotal:        8000000 kB
MemFree:         1000000 kB
MemAvailable:    3000000 kB
Cached:           500000 kB
SwapTotal:       2000000 kB
SwapFree:        1500000 kB
CommitLimit:     6000000 kB
HugePages_Total:       0
Hugepagesize:       2048 kB
`;
const cpuinfo = [0, 1, 2, 3].map((cpu) => `processor\t: ${cpu}\nmodel name\t: Some\n\n`).join('');
const stat = 'cpu  10 20 30\ncpu0 1 2 3\ncpu1 2 3 4\ncpu2 3 4 5\ncpu3 4 11 18\nintr 7 8\nctxt 9\n';
const host: Readonly<Record<string, string>> = {
  '/proc/meminfo': meminfo,
  '/proc/cpuinfo': cpuinfo,
  '/proc/stat': stat,
  '/sys/devices/system/cpu/online': '0-3\n',
};

function view(limits: Parameters<typeof limitedView>[0]): Record<string, string> {
  return Object.fromEntries(limitedView(limits, (path) => host[path] ?? '').map(({ path, text }) => [path, text]));
}

it('limited view: nothing without a limit, or with one that changes nothing', () => {
  expect(view({})).toEqual({});
  expect(view({ pids: 5, cpuShares: 2, cpusetCpus: '0-3', cpuQuotaUs: -1 })).toEqual({});
});
it('limited view: memory is all there is, free as far as the machine has it; swap is what the limit on both leaves', () => {
  const text = view({ memoryBytes: 2048 * 1_000_000, memorySwapBytes: 2048 * 1_000_000 + 1024 * 300_000 })[
    '/proc/meminfo'
  ];
  expect(text).toBe(`MemTotal:        2000000 kB
MemFree:         2000000 kB
MemAvailable:    2000000 kB
Cached:                0 kB
SwapTotal:        300000 kB
SwapFree:         300000 kB
CommitLimit:     2300000 kB
HugePages_Total:       0
Hugepagesize:       2048 kB
`);
  expect(view({ memoryBytes: 2 ** 50 })['/proc/meminfo']).toMatch(/^MemTotal: +8000000 kB\nMemFree: +3000000 kB\n/);
});
it('limited view: processors of the cpuset, with their numbers and the sum of their times', () => {
  expect(view({ cpusetCpus: '1,3' })).toEqual({
    '/proc/cpuinfo': 'processor\t: 1\nmodel name\t: Some\n\nprocessor\t: 3\nmodel name\t: Some\n\n',
    '/proc/stat': 'cpu  6 14 22\ncpu1 2 3 4\ncpu3 4 11 18\nintr 7 8\nctxt 9\n',
    '/sys/devices/system/cpu/online': '1,3\n',
  });
});
it.each([
  [{ cpuQuotaUs: 150_000 }, '0-1'],
  [{ cpuQuotaUs: 10_000, cpuPeriodUs: 50_000 }, '0'],
  [{ cpuQuotaUs: 200_000, cpusetCpus: '1-3' }, '1-2'],
])('limited view: %j leaves the processors %s', (limits, expected) => {
  expect(view(limits)['/sys/devices/system/cpu/online']).toBe(`${expected}\n`);
});
it.each(['0', '0-3', '1,3', '0-2,7,9-10'])('processor list: %s survives', (text) => {
  expect(formatCpuList(parseCpuList(text))).toBe(text);
});
