import { spend } from '../expand-pattern.ts';
import { didYouMeanOneOf } from '../../src/core/nearest-name.ts';
import { Flaw } from '../flaw.ts';
import { formatList } from '../go-format.ts';
import type { InstructionDef, LowerContext } from '../instruction.ts';
import { MESSAGES } from '../lint/rules.ts';
import { expandWords } from '../stage-expand.ts';
import { withHistory } from '../stage-state.ts';
import { splitWords } from '../syntax/white-space.ts';

interface ExposeNode {
  /** In the order of their texts, as BuildKit has them. */
  readonly ports: readonly string[];
}

const PROTOCOLS = ['tcp', 'udp', 'sctp'];

/** EXPOSE: ports that the container listens on. */
export const expose: InstructionDef<ExposeNode> = {
  keyword: 'EXPOSE',
  flags: {},
  heredocs: 'refused',
  step: 'no',
  parse: ({ text }) => {
    if (text === '') throw new Flaw('MissingArgument', 'EXPOSE requires at least one argument');
    return { ports: splitWords(text).toSorted((a, b) => (a < b ? -1 : 1)) };
  },
  lower: (node, state, context) => {
    const specs = node.ports.flatMap((port) => expandWords(port, state, context));
    const exposed = specs.flatMap((spec) => parsePorts(spec, context));
    const ports = exposed.reduce((known, port) => known.with(port, true), state.ports);
    return withHistory({ ...state, ports }, `EXPOSE ${formatList(exposed)}`, 'empty');
  },
};

/** `80/tcp` for each port of `[[ip:]hostPort:]port[-end][/protocol]`. */
function parsePorts(spec: string, context: LowerContext): readonly string[] {
  const { address, hostPort, containerPort } = splitSpec(spec);
  const [range = '', ...rest] = containerPort.split('/');
  const written = rest.join('/');
  const protocol = written === '' ? 'tcp' : written.toLowerCase();
  if (range === '') throw invalid(`no port specified: ${containerPort}<empty>`, spec);
  if (!PROTOCOLS.includes(protocol))
    throw invalid(`invalid proto: ${protocol}`, spec, didYouMeanOneOf(protocol, PROTOCOLS));
  if (address !== '' && !isAddress(address.replace(/^\[(.*)\]$/, '$1')))
    throw invalid(`invalid IP address: ${address}`, spec);
  const { start, end } = parseRange(range) ?? fail(`invalid containerPort: ${range}`, spec);
  const host = hostPort === '' ? undefined : (parseRange(hostPort) ?? fail(`invalid hostPort: ${hostPort}`, spec));
  if (host !== undefined && end !== start && end - start !== host.end - host.start) {
    throw invalid(`invalid ranges specified for container and host Ports: ${range} and ${hostPort}`, spec);
  }
  warnAboutStyle({ spec, written, protocol, mapped: spec !== containerPort ? 'yes' : 'no' }, context);
  // A port costs more than a character, and there may be 65,536 of them to a word.
  spend(context.fuel, (end - start + 1) * 64);
  return Array.from({ length: end - start + 1 }, (_, i) => `${start + i}/${protocol}`);
}

function warnAboutStyle(
  o: { spec: string; written: string; protocol: string; mapped: 'yes' | 'no' },
  context: LowerContext,
): void {
  const place = { kind: 'word', text: o.spec } as const;
  if (o.mapped === 'yes') context.warn('ExposeInvalidFormat', MESSAGES.ExposeInvalidFormat(o.spec), { place });
  if (o.written !== '' && o.written !== o.protocol)
    context.warn('ExposeProtoCasing', MESSAGES.ExposeProtoCasing(o.spec), { place });
}

function splitSpec(spec: string): { address: string; hostPort: string; containerPort: string } {
  const parts = spec.split(':');
  const containerPort = parts.pop() ?? '';
  const hostPort = parts.pop() ?? '';
  return { address: parts.join(':'), hostPort, containerPort };
}

function parseRange(text: string): { start: number; end: number } | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const start = Number(match[1]);
  const end = Number(match[2] ?? match[1]);
  return start <= end && end <= 65_535 ? { start, end } : undefined;
}

function isAddress(text: string): boolean {
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)) return text.split('.').every((part) => Number(part) <= 255);
  return text.includes(':') && URL.canParse(`http://[${text}]/`);
}

function invalid(message: string, spec: string, help = 'write PORT, PORT/udp or START-END'): Flaw {
  return new Flaw('InvalidPort', message, { place: { kind: 'word', text: spec }, help });
}

function fail(message: string, spec: string): never {
  throw invalid(message, spec);
}
