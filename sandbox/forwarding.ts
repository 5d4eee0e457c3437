import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { messageOf } from '../src/core/error.ts';
import { dockerChain, judgeFirewall, strayRules, tablePrefix, type Forwarding } from './firewall.ts';
import { lookupText } from './lookup-text.ts';
import { nftTables } from './nft-tables.ts';

const noNft = 'there is no program nft that would tell what the firewall drops (apt-get install nftables)';

/**
 * Whether this machine would forward what steps send, as far as can be told. What killed builds left in Docker's chain is removed on the way.
 * `nft` is the path of that program, `uplink` the interface of the default route.
 */
export async function readForwarding(nft: string | undefined, uplink: string | undefined): Promise<Forwarding> {
  if (lookupText('/proc/sys/net/ipv4/ip_forward')?.trim() !== '1') {
    return { kind: 'blocked', why: 'net.ipv4.ip_forward is off (sysctl -w net.ipv4.ip_forward=1)' };
  }
  if (lookupText('/proc/net/ip_tables_names')?.includes('filter') === true) {
    return { kind: 'blocked', why: 'a firewall of iptables-legacy may drop what is forwarded' };
  }
  // As a rule there is no firewall: then nft, which takes 10 ms, need not be there.
  if (nftTables()?.every((name) => name.startsWith(tablePrefix)) === true) return { kind: 'open' };
  if (nft === undefined) return { kind: 'blocked', why: noNft };
  try {
    // Not as JSON: nft 1.0.6 prints broken JSON for tables that have an owner, such as ours.
    const ruleset = await run(nft, ['--handle', 'list', 'ruleset']);
    for (const handle of strayRules(ruleset)) await removeRule(nft, handle);
    return judgeFirewall(ruleset, uplink);
  } catch (error) {
    return { kind: 'blocked', why: messageOf(error).trim().replaceAll('\n', '; ') };
  }
}

/** A handle is given once: it cannot be another rule's by now, but another build may have been quicker. */
async function removeRule(nft: string, handle: number): Promise<void> {
  const { family, table, name } = dockerChain;
  try {
    await run(nft, ['delete', 'rule', family, table, name, 'handle', String(handle)]);
  } catch (error) {
    if (!messageOf(error).includes('No such file or directory')) throw error;
  }
}

async function run(nft: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(nft, args, { env: {}, maxBuffer: 1 << 26 });
  return stdout;
}
