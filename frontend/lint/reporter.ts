import type { Diagnostic, SourceRange } from '../../src/core/diagnostic.ts';
import type { EscapeCharacter } from '../syntax/elements.ts';
import type { Instruction, WarnOptions } from '../instruction.ts';
import { nearestName } from '../../src/core/nearest-name.ts';
import { RangeFinder } from '../syntax/ranges.ts';
import { selects, type CheckOptions } from './check-options.ts';
import { groupOf, urlOf, type RuleName } from './rules.ts';

/** Where a finding is made. */
export interface Finding extends WarnOptions {
  readonly rule: RuleName;
  readonly message: string;
  readonly instruction?: Instruction;
}

/** Which rules count. */
export interface ReporterOptions extends CheckOptions {
  readonly ownRules: 'on' | 'off';
  /** What warns by default beyond BuildKit's rules. */
  readonly notices: 'on' | 'off';
}

/** More than anybody reads; bounds what a hostile file can cost. */
const MAX_FINDINGS = 2000;
const MAX_SUGGESTIONS = 200;

/** Collects lint findings: those whose rule is on, each once per place. */
export class LintReporter {
  readonly #ranges: RangeFinder;
  readonly #options: ReporterOptions;
  readonly #found = new Map<string, Diagnostic>();
  #suggestions = 0;

  constructor(escape: EscapeCharacter, options: ReporterOptions) {
    this.#ranges = new RangeFinder(escape);
    this.#options = options;
  }

  /** The name that was most likely meant by `name`; none where so many were looked for that nobody will read them. */
  nearest(name: string, candidates: Iterable<string>): string | undefined {
    return ++this.#suggestions > MAX_SUGGESTIONS ? undefined : nearestName(name, candidates);
  }

  /** Adds a finding, if its rule is on where it was made. */
  report(finding: Finding): void {
    const { rule, message, help, edits } = finding;
    const instruction = finding.at ?? finding.instruction;
    if (
      this.#found.size >= MAX_FINDINGS ||
      !this.#isOn(rule) ||
      (instruction !== undefined && selects(instruction.skippedRules, rule))
    )
      return;
    const range = finding.range ?? this.#rangeOf(finding, instruction);
    const key = JSON.stringify([rule, message, range?.start]);
    if (this.#found.has(key)) return;
    const url = urlOf(rule);
    this.#found.set(key, {
      severity: 'warning',
      code: rule,
      message,
      ...(range !== undefined && { range }),
      ...(help !== undefined && { help }),
      ...(url !== undefined && { url }),
      ...(edits !== undefined && { edits }),
    });
  }

  /** All findings so far, in the order of the file. */
  get diagnostics(): readonly Diagnostic[] {
    return [...this.#found.values()].toSorted(compareDiagnostics);
  }

  #isOn(rule: RuleName): boolean {
    const { skip, experimental, ownRules, notices } = this.#options;
    if (selects(skip, rule)) return false;
    switch (groupOf(rule)) {
      case 'standard':
        return true;
      case 'experimental':
        return selects(experimental, rule);
      case 'own':
        return ownRules === 'on' || (experimental !== 'all' && experimental.has(rule));
      case 'notice':
        return notices === 'on';
    }
  }

  #rangeOf({ place }: Finding, instruction: Instruction | undefined): SourceRange | undefined {
    if (instruction === undefined) return undefined;
    return place === undefined ? instruction.line.range : this.#ranges.find(place, instruction.line);
  }
}

/** Orders by place in the file; what has none comes last. */
export function compareDiagnostics(a: Pick<Diagnostic, 'range'>, b: Pick<Diagnostic, 'range'>): number {
  const [x, y] = [a.range?.start, b.range?.start];
  if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined);
  return x.line - y.line || x.column - y.column;
}
