import type { GraphBuilder, VertexId } from '../src/core/graph.ts';
import type { ResolvedImage } from '../src/core/source.ts';
import type { SourceEdit, SourceRange } from '../src/core/diagnostic.ts';
import type { ContainerConfig, HistoryEntry } from '../src/oci/image-config.ts';
import type { Platform } from '../src/oci/platform.ts';
import type { Fuel } from './expand-pattern.ts';
import type { Place } from './flaw.ts';
import type { LowerRequest } from './lower-request.ts';
import type { PersistentList, PersistentMap } from './persistent.ts';
import type { RuleName } from './lint/rules.ts';
import type { RuleSelection } from './lint/check-options.ts';
import type { Comment, EscapeCharacter, Heredoc } from './syntax/elements.ts';
import type { Flags, FlagTable } from './syntax/flags.ts';
import type { LogicalLine } from './syntax/logical-lines.ts';

/** An instruction's text, keyword and flags cut off. */
export interface InstructionText {
  /** In upper case. */
  readonly keyword: string;
  /** The keyword as written. */
  readonly word: string;
  readonly flags: Flags;
  /** What follows the flags, no white space around it. */
  readonly text: string;
  /** The whole joined line, no white space around it. */
  readonly original: string;
  readonly heredocs: readonly Heredoc[];
}

/** What else parsing depends on. */
export interface ParseContext {
  readonly escape: EscapeCharacter;
  /** The comments directly above. */
  readonly comments: readonly Comment[];
  /** All keywords there are. */
  readonly keywords: readonly string[];
}

/** Another stage, named context or image that an instruction takes files from. */
export interface Draw {
  readonly from: string;
  /** Whether a number names a stage. */
  readonly numbers: 'stages' | 'names';
  readonly place: Place;
}

/** All that tsbuild knows of one instruction. */
export interface InstructionDef<N> {
  /** In upper case. */
  readonly keyword: string;
  readonly flags: FlagTable;
  readonly heredocs: 'allowed' | 'refused';
  /** Whether progress counts it as a step. */
  readonly step: 'yes' | 'no';
  /** The meaning of the text, no variable replaced. @throws Flaw */
  parse(text: InstructionText, context: ParseContext): N;
  /** Where files come from, main context aside. */
  draws?(node: N): readonly Draw[];
  /** The stage after this instruction; `state` stays as it is. @throws Flaw */
  lower(node: N, state: StageState, context: LowerContext): StageState;
}

/** A parsed instruction, bound to its definition. */
export interface Command {
  /** Plain data; its shape is the instruction's own. */
  readonly node: unknown;
  readonly step: 'yes' | 'no';
  readonly draws: readonly Draw[];
  readonly lower: (state: StageState, context: LowerContext) => StageState;
}

/** One instruction. */
export interface Instruction {
  /** In upper case. */
  readonly keyword: string;
  /** The keyword as written. */
  readonly word: string;
  /** What the keyword's definition made of the text. */
  readonly command: Command;
  /** From the keyword to the end of the last line, here-documents included. */
  readonly range: SourceRange;
  readonly line: LogicalLine;
  readonly heredocs: readonly Heredoc[];
  /** Directly above it, in order. */
  readonly comments: readonly Comment[];
  /** The rules that a `# check=skip=…` comment above it switches off. */
  readonly skippedRules: RuleSelection;
}

/** A definition whose node type is its own affair. */
export interface AnyInstructionDef {
  readonly keyword: string;
  readonly flags: FlagTable;
  readonly heredocs: 'allowed' | 'refused';
  readonly parse: (text: InstructionText, context: ParseContext) => Command;
}

/** Hides a definition's node type, so that all definitions fit one registry. */
export function register<N>(def: InstructionDef<N>): AnyInstructionDef {
  return {
    keyword: def.keyword,
    flags: def.flags,
    heredocs: def.heredocs,
    parse: (text, context) => {
      const node = def.parse(text, context);
      return {
        node,
        step: def.step,
        draws: def.draws?.(node) ?? [],
        lower: (state, lowerContext) => def.lower(node, state, lowerContext),
      };
    },
  };
}

/** The config's parts that are not kept as maps of their own. */
export type PlainConfig = Omit<ContainerConfig, 'Env' | 'Labels' | 'ExposedPorts' | 'Volumes' | 'OnBuild'>;

/** A stage so far: a fold of its instructions. */
export interface StageState {
  /** The tree; `undefined` while there is none. */
  readonly root: VertexId | undefined;
  /** The base images whose layers are the lowest of the tree. */
  readonly bases: readonly ResolvedImage[];
  readonly platform: Platform;
  /** As the image config has it. */
  readonly imagePlatform: Platform;
  readonly author: string | undefined;
  readonly config: PlainConfig;
  /** ENV, as the image keeps it. */
  readonly imageEnv: PersistentMap<string>;
  /** ENV and ARG, the last declaration winning: what variables and RUN see. */
  readonly scope: PersistentMap<string>;
  /** The ARGs declared, with their values where they have one. */
  readonly args: PersistentMap<string | undefined>;
  readonly labels: PersistentMap<string>;
  readonly ports: PersistentMap<true>;
  readonly volumes: PersistentMap<true>;
  readonly onBuild: PersistentList<string>;
  readonly history: PersistentList<HistoryEntry>;
  /** Steps begun. */
  readonly step: number;
  /** Where instructions stand of which only the last counts. */
  readonly last: Readonly<Partial<Record<'CMD' | 'ENTRYPOINT' | 'HEALTHCHECK', Instruction>>>;
  /** Whether this Dockerfile has set a WORKDIR for the stage. */
  readonly workdir: 'set' | 'inherited';
}

/** What lowering an instruction depends on besides the stage. */
export interface LowerContext {
  readonly request: LowerRequest;
  readonly escape: EscapeCharacter;
  /** Global ARGs and the automatic ones. */
  readonly globals: PersistentMap<string>;
  readonly graph: GraphBuilder;
  readonly stage: StageFrame;
  readonly instruction: Instruction;
  /** `trigger`: it comes from the base's ONBUILD. */
  readonly origin: 'file' | 'trigger';
  readonly fuel: Fuel;
  /** `NAME=value`, see `ExecOp.proxyEnv`. */
  readonly proxyEnv: readonly string[];
  readonly epochSeconds: number | undefined;
  /** The main build context. */
  mainContext(): VertexId;
  /** The tree that a draw means. @throws Flaw */
  tree(draw: Draw): VertexId;
  /** The name that was most likely meant, for a lint finding. */
  nearest(name: string, candidates: Iterable<string>): string | undefined;
  /** Reports a lint finding about this instruction, or about `o.at`. */
  warn(rule: RuleName, message: string, o?: WarnOptions): void;
}

/** What a lint finding may come with. */
export interface WarnOptions {
  readonly place?: Place;
  readonly help?: string | undefined;
  readonly at?: Instruction;
  readonly edits?: readonly SourceEdit[];
  readonly range?: SourceRange;
}

/** What is fixed for a whole stage. */
export interface StageFrame {
  /** As progress shows it; empty for the only stage. */
  readonly label: string;
  /** Name, or number as text. */
  readonly id: string;
  readonly steps: number;
  readonly cache: 'use' | 'ignore';
}
