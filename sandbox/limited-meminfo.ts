import type { ResourceLimits } from '../src/core/graph.ts';

/** Lines that say nothing of how much memory is used. */
const kept = new Set(['VmallocTotal', 'VmallocUsed', 'VmallocChunk', 'Hugepagesize']);

/** /proc/meminfo of a machine that has no more memory than the limit, none of it in use yet; swap as the limit on both leaves it. */
export function limitedMeminfo(text: string, limits: ResourceLimits): string {
  const host = new Map([...text.matchAll(/^(\S+):\s+(\d+) kB$/gm)].map(([, name = '', kib]) => [name, Number(kib)]));
  const amount = (name: string): number => host.get(name) ?? 0;
  const total = Math.min(kibibytes(limits.memoryBytes), amount('MemTotal'));
  const free = Math.min(total, amount('MemAvailable'));
  const swap = Math.min(swapLimit(limits), amount('SwapTotal'));
  const own: Readonly<Record<string, number>> = {
    MemTotal: total,
    MemFree: free,
    MemAvailable: free,
    SwapTotal: swap,
    SwapFree: Math.min(swap, amount('SwapFree')),
    CommitLimit: total + swap,
  };
  return text.replace(/^(\S+):(\s+)(\d+) kB$/gm, (line, name: string, blanks: string, digits: string) => {
    if (kept.has(name)) return line;
    const value = String(own[name] ?? 0);
    return `${name}:${value.padStart(blanks.length + digits.length)} kB`;
  });
}

/** The limit counts memory and swap together; negative or absent means none. */
function swapLimit({ memoryBytes, memorySwapBytes }: ResourceLimits): number {
  if (memorySwapBytes === undefined || memorySwapBytes < 0) return Infinity;
  return Math.max(0, kibibytes(memorySwapBytes) - kibibytes(memoryBytes));
}

function kibibytes(bytes: number | undefined): number {
  return bytes === undefined ? Infinity : Math.floor(bytes / 1024);
}
