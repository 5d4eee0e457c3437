/** What a firewall makes of packets that are forwarded. */
export type Forwarding =
  | { readonly kind: 'open' }
  /** Only the policy of Docker's chain drops them: rules at its end let packets of ours through and overrule nothing else. */
  | { readonly kind: 'docker-policy' }
  | { readonly kind: 'blocked'; readonly why: string };

/** The chain that has Docker's rules for what is forwarded, and the policy that Docker sets. */
export const dockerChain = { family: 'ip', table: 'filter', name: 'FORWARD' } as const;

/** Our interfaces of the host; the rest of the name is the address of its subnet. */
export const pairPrefix = 'tsb';

/** Our tables begin with it. */
export const tablePrefix = 'tsbuild-';

/** The table of one pair, which is also the comment of its rules in the chains of others. */
export function pairTable(interfaceName: string): string {
  return `${tablePrefix}${interfaceName}`;
}

/**
 * What becomes of our packets, of the text of `nft list ruleset`. Rules of our own cannot overrule another table, so whatever is not understood
 * counts as dropping; so does what an administrator said in Docker's chains. `uplink` is the interface of the default route.
 */
export function judgeFirewall(ruleset: string, uplink: string | undefined): Forwarding {
  const chains = parseChains(ruleset).filter(({ table }) => /^(?:ip|inet) (?!tsbuild-)/.test(table));
  const dropping = chains.filter(
    (chain) => / hook forward /.test(chain.head) && (dropsByPolicy(chain) || mayDrop(chain, { chains, uplink })),
  );
  const [first] = dropping;
  if (first === undefined) return { kind: 'open' };
  if (dropping.length === 1 && isDockers(first, uplink) && !mayDrop(first, { chains, uplink })) {
    return { kind: 'docker-policy' };
  }
  const why = `a firewall of this machine may drop what is forwarded (nft list table ${first.table})`;
  return { kind: 'blocked', why };
}

/** The handles of our rules in Docker's chain whose pair is no more: of builds that were killed with all their processes. */
export function strayRules(ruleset: string): readonly number[] {
  const chains = parseChains(ruleset);
  const alive = new Set(chains.map(({ table }) => table));
  return chains.filter(isDockerChain).flatMap(({ rules }) =>
    rules.flatMap((rule) => {
      const [, table = '', handle] = / comment "(tsbuild-tsb[0-9a-f]{8})" # handle (\d+)$/.exec(rule) ?? [];
      return handle === undefined || alive.has(`${dockerChain.family} ${table}`) ? [] : [Number(handle)];
    }),
  );
}

/** A chain of nftables with its rules, as they are printed. */
interface Chain {
  /** `ip filter`. */
  readonly table: string;
  readonly name: string;
  /** Its type, hook, priority and policy where it is a base chain. */
  readonly head: string;
  readonly rules: readonly string[];
}

function parseChains(ruleset: string): readonly Chain[] {
  return ruleset.split(/^table /m).flatMap((text) => {
    const table = text.slice(0, text.indexOf(' {'));
    return [...text.matchAll(/^\tchain (\S+) \{[^\n]*\n([^]*?)^\t\}/gm)].map(([, name = '', body = '']) => {
      const rules = body.split('\n');
      return { table, name, head: rules.find((line) => /^\s*type \S+ hook /.test(line)) ?? '', rules };
    });
  });
}

function isDockerChain({ table, name }: Chain): boolean {
  return table === `${dockerChain.family} ${dockerChain.table}` && name === dockerChain.name;
}

/** Nobody else's firewall is in the chain: that one's policy would be an administrator's word. Podman's chains only let through. */
function isDockers(chain: Chain, uplink: string | undefined): boolean {
  const targets = chain.rules.filter((rule) => !isElsewhere(rule, uplink)).flatMap(targetsOf);
  return (
    isDockerChain(chain) &&
    targets.includes('DOCKER-USER') &&
    targets.every((target) => /^(?:DOCKER|CNI|NETAVARK)(?:[-_]|$)/.test(target))
  );
}

function dropsByPolicy({ head }: Chain): boolean {
  return head.includes('policy drop');
}

/** What rules are judged by. */
interface Surroundings {
  readonly chains: readonly Chain[];
  readonly uplink: string | undefined;
  readonly seen?: Set<Chain>;
}

/** Whether the chain, or one that it leads to, has a rule that drops. */
function mayDrop(chain: Chain, { chains, uplink, seen = new Set() }: Surroundings): boolean {
  if (seen.has(chain)) return false;
  seen.add(chain);
  const rules = chain.rules
    .filter((rule) => rule !== chain.head && !isElsewhere(rule, uplink))
    .map((rule) => rule.replaceAll(/ comment "[^"]*"/g, ''));
  return rules.some(
    (rule) =>
      dropsOrUnknown.test(rule) ||
      chains
        .filter(({ table, name }) => table === chain.table && targetsOf(rule).includes(name))
        .some((target) => mayDrop(target, { chains, uplink, seen })),
  );
}

function targetsOf(rule: string): readonly string[] {
  return [...rule.matchAll(/(?<!\S)(?:jump|goto) (\S+)/g)].map(([, target = '']) => target);
}

/** The last two: targets of iptables that nft knows nothing of, such as REJECT. */
const dropsOrUnknown = /(?<!\S)(?:drop|reject|queue|vmap|xt target|# xt_)/;

/** Rules for what is neither on our way outside nor on the way back: of other interfaces, or belonging to no connection. */
function isElsewhere(rule: string, uplink: string | undefined): boolean {
  const names = [...rule.matchAll(/(?<!\S)[io]ifname "([^"*]+)"/g)].map(([, name = '']) => name);
  return names.some((name) => name !== uplink && !name.startsWith(pairPrefix)) || /(?<!\S)ct state invalid /.test(rule);
}
