import type { RuntimeSpec } from '../src/core/executor.ts';
import { BuildError } from '../src/core/error.ts';
import { and, encodeBpf, ifAtLeast, ifEqual, load, ret, type BpfBlock } from './bpf.ts';
import { expandCapabilities } from './capability-sets.ts';
import {
  defaultErrno,
  deviceNodeRules,
  dockerProfile,
  syncSuppression,
  type ArgumentTest,
  type AskingRule,
  type SeccompRule,
} from './seccomp-profile.ts';
import { syscallNumbers, type SyscallAbi } from './syscall-numbers.ts';

/** What a step's filter depends on. */
export interface SeccompRequest {
  readonly confinement: RuntimeSpec['confinement'];
  readonly capabilities: readonly string[] | 'all';
  readonly sync: 'suppress' | 'real';
  /** `ask`: whoever listens to the filter makes them. */
  readonly deviceNodes: 'kernel' | 'ask';
  /** As process.arch has it. */
  readonly arch?: string;
}

const RET_ALLOW = 0x7fff0000;
const RET_USER_NOTIF = 0x7fc00000;
const RET_ERRNO = 0x00050000;
const RET_KILL_PROCESS = 0x80000000;

/** struct seccomp_data: number, architecture, instruction pointer, arguments. */
const numberOffset = 0;
const archOffset = 4;
const argumentOffset = (index: number): number => 16 + 8 * index;

/** AUDIT_ARCH_* of the kernel, and the ABIs by the least number that belongs to them. */
const architectures: Readonly<
  Record<string, readonly { audit: number; abis: readonly [from: number, abi: SyscallAbi][] }[]>
> = {
  x64: [
    {
      audit: 0xc000003e,
      abis: [
        [0, 'x86_64'],
        [0x40000000, 'x32'],
      ],
    },
    { audit: 0x40000003, abis: [[0, 'x86']] },
  ],
  arm64: [
    { audit: 0xc00000b7, abis: [[0, 'arm64']] },
    { audit: 0x40000028, abis: [[0, 'arm']] },
  ],
};

/** The rules that hold for a request, those that win first; what asks about device nodes comes before them. */
export function seccompRules(request: Omit<SeccompRequest, 'deviceNodes'>): readonly SeccompRule[] {
  const capabilities = new Set(expandCapabilities(request.capabilities));
  const holds = ({ withCapability, withoutCapability }: SeccompRule): boolean =>
    (withCapability === undefined || capabilities.has(withCapability)) &&
    (withoutCapability === undefined || !capabilities.has(withoutCapability));
  return [
    ...(request.sync === 'suppress' ? syncSuppression : []),
    ...(request.confinement === 'default' ? dockerProfile.filter(holds) : []),
  ];
}

/**
 * The filter of a step as BPF for seccomp(2), or `undefined` where there is nothing to filter.
 * @throws KERNEL_FEATURE_MISSING on an architecture whose numbers are not in the table.
 */
export function seccompFilter(request: SeccompRequest): Uint8Array | undefined {
  const rules = [...(request.deviceNodes === 'ask' ? deviceNodeRules : []), ...seccompRules(request)];
  if (rules.length === 0) return undefined;
  const arch = request.arch ?? process.arch;
  const known = architectures[arch];
  if (known === undefined) {
    throw new BuildError('KERNEL_FEATURE_MISSING', { feature: 'the seccomp filter', reason: `no table for ${arch}` });
  }
  const confined = request.confinement === 'default';
  const otherwise = confined ? RET_ERRNO | defaultErrno : RET_ALLOW;
  const answers = answersByName(rules, otherwise);
  const foreign: BpfBlock = [ret(confined ? RET_KILL_PROCESS : RET_ALLOW)];
  const dispatch = known.reduceRight<BpfBlock>((rest, { audit, abis }) => {
    const byNumber = abis.reduce<BpfBlock>((below, [from, abi]) => {
      const code = search(toRanges(answers, abi, otherwise));
      return from === 0 ? code : ifAtLeast(from, code, below);
    }, []);
    return ifEqual(audit, [load(numberOffset), ...byNumber], rest);
  }, foreign);
  return encodeBpf([load(archOffset), ...dispatch]);
}

/** Numbers from `from` up to the next range that have one and the same answer. */
interface Range {
  readonly from: number;
  readonly code: BpfBlock;
}

type FilterRule = SeccompRule | AskingRule;

/** What each call is answered that a rule names. */
function answersByName(rules: readonly FilterRule[], otherwise: number): ReadonlyMap<string, BpfBlock> {
  const rulesOf = new Map<string, FilterRule[]>();
  for (const rule of rules) {
    for (const name of rule.names) {
      const others = rulesOf.get(name);
      if (others === undefined) rulesOf.set(name, [rule]);
      else others.push(rule);
    }
  }
  return new Map([...rulesOf].map(([name, named]) => [name, answer(named, otherwise)]));
}

function toRanges(answers: ReadonlyMap<string, BpfBlock>, abi: SyscallAbi, otherwise: number): readonly Range[] {
  const numbers = syscallNumbers(abi);
  const numbered = [...answers].flatMap(([name, code]): [number, BpfBlock][] => {
    const number = numbers.get(name);
    return number === undefined ? [] : [[number, code]];
  });
  const ranges: Range[] = [{ from: 0, code: [ret(otherwise)] }];
  for (const [number, code] of numbered.toSorted(([a], [b]) => a - b)) {
    const last = ranges.at(-1);
    if (last?.from === number) ranges.pop();
    append(ranges, { from: number, code });
    ranges.push({ from: number + 1, code: [ret(otherwise)] });
  }
  return ranges.filter((range, index) => index === 0 || !sameCode(range.code, ranges[index - 1]?.code ?? []));
}

function append(ranges: Range[], range: Range): void {
  if (!sameCode(ranges.at(-1)?.code ?? [], range.code)) ranges.push(range);
}

/** One instruction that says the same: tests of arguments are never merged. */
function sameCode(a: BpfBlock, b: BpfBlock): boolean {
  return a.length === 1 && b.length === 1 && a[0]?.k === b[0]?.k;
}

/** A rule without a test settles the call; tests before it are asked in order. */
function answer(rules: readonly FilterRule[], otherwise: number): BpfBlock {
  const settled = rules.findIndex((rule) => rule.test === undefined);
  const tests = settled === -1 ? rules : rules.slice(0, settled);
  const settling = rules[settled];
  const last: BpfBlock = [ret(settling === undefined ? otherwise : actionValue(settling))];
  return tests.reduceRight<BpfBlock>((rest, rule) => {
    return rule.test === undefined ? rest : whereTrue(rule.test, [ret(actionValue(rule))], rest);
  }, last);
}

function actionValue({ action }: FilterRule): number {
  if (action === 'allow') return RET_ALLOW;
  return action === 'ask' ? RET_USER_NOTIF : RET_ERRNO | action.errno;
}

function whereTrue(test: ArgumentTest, then: BpfBlock, otherwise: BpfBlock): BpfBlock {
  const low = argumentOffset(test.argument);
  if ('is' in test) {
    const [zero, set] = test.is === 'zero' ? [then, otherwise] : [otherwise, then];
    return [load(low), and(test.mask), ...ifEqual(0, zero, set)];
  }
  const values = test.oneOf.reduceRight<BpfBlock>((rest, value) => ifEqual(value, then, rest), otherwise);
  if ('mask' in test) return [load(low), and(test.mask), ...values];
  return [load(low + 4), ...ifEqual(0, [load(low), ...values], otherwise)];
}

/** Halves the ranges until one is left, so that every call is answered after few comparisons. */
function search(ranges: readonly Range[]): BpfBlock {
  const middle = Math.ceil(ranges.length / 2);
  const right = ranges[middle];
  if (right === undefined) return ranges[0]?.code ?? [];
  return ifAtLeast(right.from, search(ranges.slice(middle)), search(ranges.slice(0, middle)));
}
