import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { isErrno, messageOf } from '../src/core/error.ts';

/** Why this machine would not forward what steps send, as far as can be told; `undefined` where nothing speaks against it. */
export async function forwardingObstacle(nft: string): Promise<string | undefined> {
  if (readText('/proc/sys/net/ipv4/ip_forward').trim() !== '1') {
    return 'net.ipv4.ip_forward is off (sysctl -w net.ipv4.ip_forward=1)';
  }
  if (readText('/proc/net/ip_tables_names').includes('filter')) {
    return 'a firewall of iptables-legacy may drop what is forwarded';
  }
  try {
    // Not as JSON: nft 1.0.6 prints broken JSON for tables that have an owner, such as ours.
    const { stdout } = await promisify(execFile)(nft, ['list', 'ruleset'], { env: {}, maxBuffer: 1 << 26 });
    return firewallObstacle(stdout);
  } catch (error) {
    return messageOf(error).trim().replaceAll('\n', '; ');
  }
}

/** A chain of nftables with its rules, as they are printed. */
interface Chain {
  /** `ip filter`. */
  readonly table: string;
  readonly name: string;
  readonly lines: readonly string[];
}

/**
 * The firewall that could drop what is forwarded, in the words of a note. `ruleset` is what `nft list ruleset` prints. Rules of our own cannot
 * overrule another table, so whatever is not understood counts as dropping.
 */
export function firewallObstacle(ruleset: string): string | undefined {
  const chains = parseChains(ruleset).filter(({ table }) => /^(?:ip|inet) (?!tsbuild-)/.test(table));
  const dropping = chains.find(
    ({ table, name, lines: [head = ''] }) =>
      / hook forward /.test(head) &&
      (head.includes('policy drop') || mayDrop(name, { chains: chains.filter((each) => each.table === table) })),
  );
  return dropping && `a firewall of this machine may drop what is forwarded (nft list table ${dropping.table})`;
}

function parseChains(ruleset: string): readonly Chain[] {
  return ruleset.split(/^table /m).flatMap((text) => {
    const table = text.slice(0, text.indexOf(' {'));
    return [...text.matchAll(/^\tchain (\S+) \{[^\n]*\n([^]*?)^\t\}/gm)].map(([, name = '', body = '']) => ({
      table,
      name,
      lines: body.split('\n'),
    }));
  });
}

/** Whether the chain, or one that it leads to, has a rule that drops. */
function mayDrop(name: string, o: { readonly chains: readonly Chain[]; readonly seen?: Set<string> }): boolean {
  const { chains, seen = new Set() } = o;
  if (seen.has(name)) return false;
  seen.add(name);
  const rules = chains.find((chain) => chain.name === name)?.lines ?? [];
  return rules
    .filter((rule) => !isElsewhere(rule))
    .map((rule) => rule.replaceAll(/ comment "[^"]*"/g, ''))
    .some(
      (rule) =>
        dropsOrUnknown.test(rule) ||
        [...rule.matchAll(/(?<!\S)(?:jump|goto) (\S+)/g)].some(([, target = '']) => mayDrop(target, { chains, seen })),
    );
}

/** The last two: targets of iptables that nft knows nothing of, such as REJECT. */
const dropsOrUnknown = /(?<!\S)(?:drop|reject|queue|vmap|xt target|# xt_)/;

/** Rules for what no packet of ours is: from another interface, or belonging to no connection. */
function isElsewhere(rule: string): boolean {
  return /(?<!\S)iifname "(?!tsb)[^"*]+"/.test(rule) || /(?<!\S)ct state invalid /.test(rule);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  }
}
