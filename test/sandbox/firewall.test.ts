import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { judgeFirewall, strayRules } from '../../sandbox/firewall.ts';

/** A table as nft prints it. */
function table(name: string, chains: Readonly<Record<string, readonly string[]>>): string {
  const texts = Object.entries(chains).map(
    ([chain, rules]) => `\tchain ${chain} {\n${rules.map((rule) => `\t\t${rule}\n`).join('')}\t}\n`,
  );
  return `table ${name} {\n${texts.join('\n')}}\n`;
}
const forward = 'type filter hook forward priority filter; policy accept;';
const blocked = { kind: 'blocked', why: expect.stringContaining('nft list table i') as string };
const comment = 'xt match "comment" counter packets 6 bytes 366';

describe('a firewall’s rules for what is forwarded', () => {
  it.each([
    ['none', ''],
    ['a chain that accepts', table('ip filter', { FORWARD: [forward, `${comment} jump CNI`], CNI: ['accept'] })],
    [
      'what comes in',
      table('inet filter', { input: ['type filter hook input priority filter; policy drop;', 'drop'] }),
    ],
    ['of IPv6', table('ip6 filter', { FORWARD: [forward.replace('accept', 'drop')] })],
    ['from another interface', table('ip filter', { FORWARD: [forward, 'iifname "docker0" drop'] })],
    ['to another interface', table('ip filter', { FORWARD: [forward, 'oifname "docker0" counter packets 0 drop'] })],
    ['what belongs to no connection', table('ip filter', { FORWARD: [forward, 'ct state invalid drop'] })],
    ['ours', table('ip tsbuild-tsb0ad10000', { through: [forward, 'oifname "tsb0ad10000" drop'] })],
    [
      'a chain that nothing leads to',
      table('ip filter', { FORWARD: [forward, ' jump A'], A: ['jump A'], B: ['drop'] }),
    ],
    ['a comment', table('ip filter', { FORWARD: [forward, 'accept comment "drop nothing"'] })],
  ])('harmless: %s', (_, ruleset) => expect(judgeFirewall(ruleset, 'eth0')).toEqual({ kind: 'open' }));

  it.each([
    ['the policy', table('ip filter', { FORWARD: [forward.replace('accept', 'drop')] })],
    ['a rule', table('inet firewalld', { fw: [forward, 'ct state established accept', 'reject with icmpx admin'] })],
    [
      'a rule further on',
      table('ip filter', { F: [forward, 'jump A'], A: ['ip saddr 10.0.0.0/8 goto B'], B: ['drop'] }),
    ],
    ['a target of iptables', table('ip filter', { FORWARD: [forward, `${comment} xt target "REJECT"`] })],
    ['what comes from outside', table('ip filter', { F: [forward, 'iifname "eth0" ip saddr != 192.0.2.9 drop'] })],
    ['what leads outside', table('ip filter', { F: [forward, 'oifname "eth0" tcp dport 25 reject'] })],
    ['a rule for our interfaces', table('ip filter', { FORWARD: [forward, 'iifname "tsb*" drop'] })],
    ['a rule for all interfaces but one', table('ip filter', { FORWARD: [forward, 'iifname != "lo" drop'] })],
  ])('may drop: %s', (_, ruleset) => expect(judgeFirewall(ruleset, 'eth0')).toEqual(blocked));
});

/** Docker 20.10.24 (Debian 12) with two networks of its own, one of them internal, and a container that publishes a port: `nft list ruleset`. */
const recorded = readFileSync(new URL('fixtures/docker-firewall.nft', import.meta.url), 'utf8');
const dropping = forward.replace('accept', 'drop');
const user = 'counter packets 0 bytes 0 jump DOCKER-USER';

const ours = (name: string, handle: number): string =>
  `iifname "${name}" accept comment "tsbuild-${name}" # handle ${handle}`;

describe('Docker’s rules', () => {
  it.each([
    ['as Docker 20.10 sets them', recorded],
    [
      // What `iptables-save` prints of it is in moby’s pull request 49518.
      'as Docker 28 sets them',
      table('ip filter', {
        FORWARD: [dropping, user, 'counter packets 0 bytes 0 jump DOCKER-FORWARD'],
        DOCKER: ['iifname != "docker0" oifname "docker0" counter packets 0 bytes 0 drop'],
        'DOCKER-FORWARD': [
          'xt match "set" ct state related,established counter packets 0 bytes 0 accept',
          'counter packets 0 bytes 0 jump DOCKER-ISOLATION-STAGE-1',
          'xt match "set" counter packets 0 bytes 0 jump DOCKER',
          'iifname "docker0" counter packets 0 bytes 0 accept',
        ],
        'DOCKER-ISOLATION-STAGE-1': ['iifname "docker0" oifname != "docker0" jump DOCKER-ISOLATION-STAGE-2'],
        'DOCKER-ISOLATION-STAGE-2': ['oifname "docker0" counter packets 0 bytes 0 drop'],
        'DOCKER-USER': [],
      }),
    ],
    ['beside Podman’s', recorded.replace('jump DOCKER-USER', 'jump DOCKER-USER\n\t\tjump CNI-FORWARD')],
    ['beside rules of builds', recorded.replace('jump DOCKER-USER', '$&\n\t\tiifname "tsb0ad10000" accept')],
  ])('%s: only their policy drops, and may be overruled', (_, ruleset) => {
    expect(judgeFirewall(ruleset, 'eth0')).toEqual({ kind: 'docker-policy' });
  });

  it('with a policy that accepts: nothing has to be overruled', () => {
    const accepting = recorded.replace('filter; policy drop', 'filter; policy accept');
    expect(judgeFirewall(accepting, 'eth0')).toEqual({ kind: 'open' });
  });

  it.each([
    [
      'what an administrator drops in DOCKER-USER',
      recorded.replace(/(chain DOCKER-USER \{\n)/, '$1\t\tip daddr 192.0.2.0/24 drop\n'),
    ],
    ['... of what comes from outside', recorded.replace(/(chain DOCKER-USER \{\n)/, '$1\t\tiifname "eth0" drop\n')],
    ['ufw’s chains in the same chain', recorded.replace('jump DOCKER-USER', '$&\n\t\tcounter jump ufw-before-forward')],
    ['another chain that drops', `${recorded}${table('inet firewalld', { F: [forward, 'reject'] })}`],
    ['another chain’s policy', `${recorded}${table('inet mine', { F: [dropping] })}`],
    ['a policy without Docker’s chains', table('ip filter', { FORWARD: [dropping] })],
    ['a table of another family', table('inet filter', { FORWARD: [dropping, user], 'DOCKER-USER': [] })],
  ])('%s: stays what it says', (_, ruleset) => expect(judgeFirewall(ruleset, 'eth0')).toEqual(blocked));

  it('rules of ours are strays where their pair is no more, and nobody else’s are', () => {
    const ruleset = [
      table('ip filter', {
        FORWARD: [dropping, ours('tsb0ad10000', 7), ours('tsb0ad10004', 8), 'accept comment "tsbuild-x" # handle 9'],
        'DOCKER-USER': [ours('tsb0ad10008', 10)],
      }),
      table('ip tsbuild-tsb0ad10004', { through: [forward] }),
      table('ip other', { FORWARD: [forward, ours('tsb0ad1000c', 11)] }),
    ].join('');
    expect(strayRules(ruleset)).toEqual([7]);
  });
});
