import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildDist } from '../support/build-dist.ts';
import { askOutside, leaveOutside, makeOutside, networkSteps, onHost } from '../support/network-host.ts';
import { describeWith } from '../support/requires.ts';

let directory = '';
beforeAll(async () => {
  await buildDist();
  directory = await mkdtemp(join(tmpdir(), 'tsbuild-network-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const steps = (count: number, script: string): string => `${networkSteps} ${directory} bridge ${count} '${script}'`;
const outside = `${makeOutside}\n ip route add default via 192.0.2.9`;
const ruleset = 'nft list ruleset 2>/run/warnings | sed "s/packets [0-9]* bytes [0-9]*//"';
/** Ends when the rules and the interfaces are those that were there before. */
const awaitNothingLeft = `
  while ip -o link | grep -q tsb[0-9]; do :; done
  until ${ruleset} | cmp -s /run/before -; do :; done; echo nothing left`;

/** A build that is there with its rules: the shell's last process. */
const begun = (): string =>
  `${steps(1, 'sleep 60')} & until nft list chain ip filter FORWARD | grep -q 'tsb.*accept'; do :; done`;
/** Also of `-1`, all processes but the shell. */
const kill = (which: string): string => `{ kill -9 ${which}; wait $! || true; } 2>/dev/null`;

/** It sets its policy where it is it that switches forwarding on. */
const daemon = (place: string): string => `
  echo 0 > /proc/sys/net/ipv4/ip_forward; mkdir -p ${place}/image/bin; cp /usr/bin/busybox ${place}/image/bin
  docker() { command docker -H unix://${place}/socket "$@"; }
  dockerd --data-root ${place}/data --exec-root ${place}/exec --pidfile ${place}/pid -H unix://${place}/socket \\
    --storage-driver vfs > ${place}/log 2>&1 & dockerd=$!
  until docker version > /run/version 2>&1; do kill -0 $dockerd; sleep 0.1; done`;
const serve = (text: string): string => `image /bin/busybox nc -ll -p 80 -e /bin/busybox echo ${text}`;

describeWith(['root', 'overlay', 'busybox', 'unshare', 'ip', 'nft'], 'bridge beside rules as Docker sets them', () => {
  const docker = `nft -f ${new URL('fixtures/docker-firewall.nft', import.meta.url).pathname}; ${ruleset} > /run/before`;
  it('two builds at once reach the outside; the rules that let them through go with them', async () => {
    const build = steps(2, `${askOutside}; sleep 0.5`);
    const { outcomes, lines } = await onHost(
      `${outside}\n ${docker}; ${build} & a=$!; ${build} & wait $a $!; ${awaitNothingLeft}; ${leaveOutside}`,
    );
    const reached = { steps: ['192.0.2.1\n', '192.0.2.1\n'], notes: [] };
    expect(outcomes).toMatchObject([reached, reached]);
    expect(lines).toEqual(['nothing left']);
  });

  it('kill -9 of a build: its rules go with it', async () => {
    const { lines } = await onHost(`${docker}; ${begun()}; ${kill('$!')}; ${awaitNothingLeft}`);
    expect(lines).toEqual(['nothing left']);
  });

  it('kill -9 of all that a build started: its rules are removed by the next one, not those of a build that runs', async () => {
    const count = 'nft list chain ip filter FORWARD | grep -c tsb';
    const { outcomes, lines } = await onHost(
      `${docker}; ${begun()}; ${kill('-1')}; ${count}
       ${outside}\n ${steps(1, 'until [ -e /run/go ]; do sleep 0.1; done')} & until nft list tables | grep -q tsbuild; do :; done
       ${steps(1, askOutside)}; ${count}; ${kill('$!')}; ${awaitNothingLeft}; ${leaveOutside}`,
    );
    expect(outcomes).toMatchObject([{ steps: ['192.0.2.1\n'], notes: [] }]);
    expect(lines).toEqual(['2', '2', 'nothing left']);
  });

  it('what an administrator drops in DOCKER-USER is not overruled: the host’s network, with a note', async () => {
    const { outcomes } = await onHost(
      `${docker}; nft insert rule ip filter DOCKER-USER ip daddr 192.0.2.0/24 drop; ${steps(1, 'true')}`,
    );
    expect(outcomes[0]?.notes).toEqual([
      expect.stringContaining('may drop what is forwarded (nft list table ip filter)'),
    ]);
  });
});

describeWith(['root', 'overlay', 'busybox', 'unshare', 'ip', 'nft', 'dockerd'], 'bridge beside a Docker daemon', () => {
  it('steps reach the outside and published ports of containers, but no other; Docker keeps working with its rules', async () => {
    const place = join(directory, 'docker');
    const containers = `
      tar -C ${place}/image -c . | docker import - image > /run/id
      docker run -d --name open -p 8080:80 ${serve('published')} >> /run/id
      docker run -d --name closed ${serve('hidden')} >> /run/id
      closed=$(docker inspect -f "{{.NetworkSettings.IPAddress}}" closed); busybox nc $closed 80 < /dev/null`;
    const script = `${askOutside}; nc -w 2 gate 8080 < /dev/null; timeout 1 nc $CLOSED 80 < /dev/null 2>&1; sleep 1`;
    const { outcomes, lines } = await onHost(`
      ${outside}\n ${daemon(place)}; ${containers}; ${ruleset} > /run/before; nft list chain ip filter FORWARD 2>/dev/null | grep -o policy.drop
      ${steps(2, script.replace('$CLOSED', "'$closed'"))} & build=$!
      until iptables -S FORWARD | grep -q tsb; do :; done; docker network create other >> /run/id; docker network rm other >> /run/id
      wait $build; ${awaitNothingLeft}
      docker rm -f open closed >> /run/id; kill $dockerd; wait $dockerd || true; ${leaveOutside}`);
    expect(outcomes[0]?.notes).toEqual([]);
    expect(outcomes[0]?.steps).toEqual(Array(2).fill('192.0.2.1\npublished\nTerminated\n'));
    expect(lines).toEqual(['hidden', 'policy drop', 'nothing left']);
  });
});
