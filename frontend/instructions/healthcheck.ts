import type { HealthConfig } from '../../src/oci/image-config.ts';
import { Flaw } from '../flaw.ts';
import { formatDuration, parseDuration, quote, quoteList, quoteRune } from '../go-format.ts';
import type { InstructionDef, InstructionText } from '../instruction.ts';
import { noteLast } from '../once.ts';
import { withConfig, withHistory } from '../stage-state.ts';
import { didYouMean } from '../../src/core/nearest-name.ts';
import type { Flags } from '../syntax/flags.ts';
import { isSpace, trimStart } from '../syntax/white-space.ts';
import { parseJsonForm } from '../syntax/words.ts';

interface HealthcheckNode {
  readonly test: readonly string[];
  readonly intervalNs: number;
  readonly timeoutNs: number;
  readonly startPeriodNs: number;
  readonly startIntervalNs: number;
  readonly retries: number;
}

/** Flags have no meaning for it. */
const NONE: HealthcheckNode = {
  test: ['NONE'],
  intervalNs: 0,
  timeoutNs: 0,
  startPeriodNs: 0,
  startIntervalNs: 0,
  retries: 0,
};
const MINIMUM_NS = 1e6;
const TIMES = ['interval', 'timeout', 'start-period', 'start-interval'] as const;

/** HEALTHCHECK: how a container's health is told. Part of Docker's image spec, kept in OCI configs as well. */
export const healthcheck: InstructionDef<HealthcheckNode> = {
  keyword: 'HEALTHCHECK',
  flags: {
    interval: 'string',
    timeout: 'string',
    'start-period': 'string',
    'start-interval': 'string',
    retries: 'string',
  },
  heredocs: 'refused',
  step: 'no',
  parse: (instruction) => {
    const test = parseTest(instruction);
    if (test[0] === 'NONE') return NONE;
    const [interval = 0, timeout = 0, startPeriod = 0, startInterval = 0] = TIMES.map((name) =>
      parseTime(name, instruction.flags),
    );
    return {
      test,
      intervalNs: interval,
      timeoutNs: timeout,
      startPeriodNs: startPeriod,
      startIntervalNs: startInterval,
      retries: parseRetries(instruction.flags.value('retries') ?? '0'),
    };
  },
  lower: (node, state, context) => {
    const next = withConfig(noteLast('HEALTHCHECK', state, context), { Healthcheck: configOf(node) });
    return withHistory(next, `HEALTHCHECK ${format(node)}`, 'empty');
  },
};

function parseTest({ text }: InstructionText): readonly string[] {
  let end = 0;
  while (end < text.length && !isSpace(text.charAt(end))) end++;
  const type = text.slice(0, end).toUpperCase();
  const rest = trimStart(text.slice(end));
  if (type === '')
    throw new Flaw('MissingArgument', 'HEALTHCHECK requires at least one argument', {
      help: 'write HEALTHCHECK CMD command, or HEALTHCHECK NONE',
    });
  if (type === 'NONE') {
    if (rest !== '') throw new Flaw('TooManyArguments', 'HEALTHCHECK NONE takes no arguments');
    return ['NONE'];
  }
  if (type !== 'CMD') {
    throw new Flaw('UnknownHealthcheck', `unknown type ${quote(type)} in HEALTHCHECK (try CMD)`, {
      place: { kind: 'argument', index: 0 },
      help: didYouMean(type, ['CMD', 'NONE']),
    });
  }
  const args = parseJsonForm(rest);
  if (rest === '' || args?.length === 0) throw new Flaw('MissingArgument', 'missing command after HEALTHCHECK CMD');
  return args === undefined ? ['CMD-SHELL', rest] : ['CMD', ...args];
}

function parseTime(name: string, flags: Flags): number {
  const text = flags.value(name) ?? '';
  if (text === '') return 0;
  const place = { kind: 'flag', name } as const;
  const nanoseconds = parseDuration(text);
  if (nanoseconds === undefined)
    throw new Flaw('InvalidDuration', `invalid duration ${quote(text)}`, {
      place,
      help: 'write it as 30s, 1m30s, 500ms',
    });
  if (nanoseconds !== 0 && nanoseconds < MINIMUM_NS)
    throw new Flaw('InvalidDuration', `interval ${quote(name)} cannot be less than 1ms`, { place });
  return nanoseconds;
}

function parseRetries(text: string): number {
  const place = { kind: 'flag', name: 'retries' } as const;
  if (!/^[+-]?\d{1,10}$/.test(text) || Math.abs(Number(text)) > 2_147_483_647)
    throw new Flaw('InvalidFlagValue', `invalid number of retries: ${text}`, { place });
  if (Number(text) < 0) throw new Flaw('InvalidFlagValue', `--retries cannot be negative (${text})`, { place });
  return Number(text);
}

function configOf(node: HealthcheckNode): HealthConfig {
  return {
    Test: node.test,
    ...(node.intervalNs !== 0 && { Interval: node.intervalNs }),
    ...(node.timeoutNs !== 0 && { Timeout: node.timeoutNs }),
    ...(node.startPeriodNs !== 0 && { StartPeriod: node.startPeriodNs }),
    ...(node.startIntervalNs !== 0 && { StartInterval: node.startIntervalNs }),
    ...(node.retries !== 0 && { Retries: node.retries }),
  };
}

/** As Go prints a pointer to the struct with `%q`: durations as quoted text, retries as a character. */
function format(node: HealthcheckNode): string {
  const times = [node.intervalNs, node.timeoutNs, node.startPeriodNs, node.startIntervalNs].map((time) =>
    quote(formatDuration(time)),
  );
  return `&{${[quoteList(node.test), ...times, quoteRune(node.retries)].join(' ')}}`;
}
