import { describe, expect, it } from 'vitest';
import { firewallObstacle } from '../../sandbox/forwarding.ts';

/** A table as nft prints it. */
function table(name: string, chains: Readonly<Record<string, readonly string[]>>): string {
  const texts = Object.entries(chains).map(
    ([chain, rules]) => `\tchain ${chain} {\n${rules.map((rule) => `\t\t${rule}\n`).join('')}\t}\n`,
  );
  return `table ${name} {\n${texts.join('\n')}}\n`;
}
const forward = 'type filter hook forward priority filter; policy accept;';
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
    ['what belongs to no connection', table('ip filter', { FORWARD: [forward, 'ct state invalid drop'] })],
    ['ours', table('ip tsbuild-tsb0ad10000', { through: [forward, 'oifname "tsb0ad10000" drop'] })],
    [
      'a chain that nothing leads to',
      table('ip filter', { FORWARD: [forward, ' jump A'], A: ['jump A'], B: ['drop'] }),
    ],
    ['a comment', table('ip filter', { FORWARD: [forward, 'accept comment "drop nothing"'] })],
  ])('harmless: %s', (_, ruleset) => expect(firewallObstacle(ruleset)).toBeUndefined());

  it.each([
    ['the policy', table('ip filter', { FORWARD: [forward.replace('accept', 'drop')] })],
    ['a rule', table('inet firewalld', { fw: [forward, 'ct state established accept', 'reject with icmpx admin'] })],
    [
      'a rule further on',
      table('ip filter', { F: [forward, 'jump A'], A: ['ip saddr 10.0.0.0/8 goto B'], B: ['drop'] }),
    ],
    ['a target of iptables', table('ip filter', { FORWARD: [forward, `${comment} xt target "REJECT"`] })],
    ['a rule for our interfaces', table('ip filter', { FORWARD: [forward, 'iifname "tsb*" drop'] })],
    ['a rule for all interfaces but one', table('ip filter', { FORWARD: [forward, 'iifname != "lo" drop'] })],
  ])('may drop: %s', (_, ruleset) => expect(firewallObstacle(ruleset)).toContain('nft list table i'));
});
