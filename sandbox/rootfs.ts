/** Files of /proc and /sys that tell or do too much: covered by the null device, directories by an empty read-only one (Docker's list). */
export const maskedPaths: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

/** Files of /proc that may be read, not written (Docker's list). */
export const readOnlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

/** The device nodes of /dev: character devices that anybody may use, by their numbers. */
export const deviceNodes: readonly { readonly name: string; readonly major: number; readonly minor: number }[] = [
  { name: 'null', major: 1, minor: 3 },
  { name: 'zero', major: 1, minor: 5 },
  { name: 'full', major: 1, minor: 7 },
  { name: 'random', major: 1, minor: 8 },
  { name: 'urandom', major: 1, minor: 9 },
  { name: 'tty', major: 5, minor: 0 },
];

/** The symbolic links of /dev. */
export const deviceLinks: readonly { readonly name: string; readonly target: string }[] = [
  { name: 'fd', target: '/proc/self/fd' },
  { name: 'stdin', target: '/proc/self/fd/0' },
  { name: 'stdout', target: '/proc/self/fd/1' },
  { name: 'stderr', target: '/proc/self/fd/2' },
  { name: 'ptmx', target: 'pts/ptmx' },
];

/** /etc/hosts of a step. */
export function hostsFile(
  hostname: string,
  extra: readonly { readonly host: string; readonly address: string }[],
): string {
  const lines = [`127.0.0.1\tlocalhost ${hostname}`, '::1\tlocalhost ip6-localhost ip6-loopback'];
  return [...lines, ...extra.map(({ host, address }) => `${address}\t${host}`), ''].join('\n');
}

/**
 * /etc/resolv.conf of a step, from the host's. A name server on the host's loopback is out of reach from another network namespace, so there
 * it is left out; `upstream` is the file that names the servers behind it (systemd-resolved's), used where nothing else is left.
 */
export function resolvConf(o: {
  readonly host: string;
  readonly upstream: string | undefined;
  readonly loopback: 'reachable' | 'unreachable';
  /** The network's own, where all others are out of reach. */
  readonly nameServer?: string;
}): string {
  if (o.loopback === 'reachable') return o.host;
  const reachable = withoutLoopbackServers(o.host);
  if (namesServer(reachable)) return reachable;
  const upstream = o.upstream === undefined ? reachable : withoutLoopbackServers(o.upstream);
  if (namesServer(upstream) || o.nameServer === undefined) return upstream;
  return `${upstream.replace(/\n*$/, '')}\nnameserver ${o.nameServer}\n`.trimStart();
}

/** Whether the text of a resolv.conf names a server, however it may be reached. */
export function namesServer(text: string): boolean {
  return /^\s*nameserver\s/m.test(text);
}

function withoutLoopbackServers(text: string): string {
  return text
    .split('\n')
    .filter((line) => !/^\s*nameserver\s+(127\.|::1\b)/.test(line))
    .join('\n');
}
