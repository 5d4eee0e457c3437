import { expect } from 'vitest';
import { runProgram } from './run-program.ts';

/** What test/sandbox/fixtures/network-steps.ts prints. */
export interface StepsOutcome {
  readonly steps: readonly string[];
  readonly notes: readonly string[];
  readonly times: readonly number[];
}

/** How a shell runs that program: `network-steps.ts DIRECTORY DRIVER COUNT SCRIPT`. */
export const networkSteps = `${process.execPath} ${new URL('../sandbox/fixtures/network-steps.ts', import.meta.url).pathname}`;

/**
 * Runs a script of the shell on a host of its own: a network namespace in which it is root and which has a /run of its own. All processes end with it.
 * @returns what runs of `networkSteps` came to, and the other lines that were printed.
 */
export async function onHost(
  script: string,
): Promise<{ readonly outcomes: readonly StepsOutcome[]; readonly lines: readonly string[] }> {
  const setUp = 'mount -t tmpfs none /run; ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward';
  const unshare = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const { status, stdout, stderr } = await runProgram('timeout', [
    '50',
    ...unshare,
    'sh',
    '-ec',
    `${setUp}; ${script}`,
  ]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const lines = stdout.trimEnd().split('\n');
  const outcomes = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as StepsOutcome);
  return { outcomes, lines: lines.filter((line) => !line.startsWith('{')) };
}

/** Waits until no interface of ours is left: the kernel takes its time to remove the namespaces of killed processes. */
export const awaitNoPairs = 'while ip -o link | grep -q tsb[0-9]; do :; done';

/** A neighbour 192.0.2.9, the way outside, that tells on port 80 which address it is asked from. `leaveOutside` ends it. */
export const makeOutside = `
  ip netns add outside; ip link add uplink type veth peer name eth0 netns outside
  ip addr add 192.0.2.1/24 dev uplink; ip link set dev uplink up
  ip -n outside addr add 192.0.2.9/24 dev eth0; ip -n outside link set eth0 up
  ip netns exec outside busybox nc -ll -p 80 -e sh -c "busybox netstat -tn" & server=$!`;

/** Ends what `makeOutside` made. */
export const leaveOutside = 'kill $server; ip link del uplink; ip netns del outside';

/** In a step: prints the address under which the neighbour of `makeOutside` saw it. */
export const askOutside = String.raw`nc -w 2 192.0.2.9 80 < /dev/null | sed -nE "s/.*[ :](192.0.2.1|10.209[0-9.]*):.*/\1/p" | sort -u`;
