/** One file that differs between two builds. */
export interface FileChange {
  /** Below the build context, or below the stage's root. */
  readonly path: string;
  readonly how: readonly ('added' | 'removed' | 'type' | 'content' | 'mode' | 'owner')[];
  /** For a mode or an owner that changed: `0644`, `0:0`. */
  readonly before?: string;
  readonly after?: string;
}

/** A step as other steps refer to it. */
export interface StepName {
  readonly stage: string;
  /** Counts the stage's steps that make layers, from 0. */
  readonly position: number;
  /** The instruction, without `[stage 1/2]`. */
  readonly text: string;
}

/** One reason for which a step had no cached result. Values that look secret are masked. */
export type Cause =
  /** No earlier build from this context had such a step. */
  | { readonly kind: 'new' }
  /** Nothing differs, but the result is not in the store: it was pruned, or the step never finished. */
  | { readonly kind: 'not-kept' }
  /** The user asked for it: --no-cache. */
  | { readonly kind: 'no-cache' }
  | { readonly kind: 'instruction'; readonly before: string; readonly after: string }
  | {
      readonly kind: 'variable';
      readonly name: string;
      readonly of: 'build-arg' | 'env';
      /** Absent: it was not there. */
      readonly before?: string;
      readonly after?: string;
    }
  /** Another property of the step: `cwd`, `user`, `platform`, … */
  | { readonly kind: 'setting'; readonly name: string; readonly before?: string; readonly after?: string }
  | { readonly kind: 'base-image'; readonly reference: string; readonly before: string; readonly after: string }
  | {
      readonly kind: 'files';
      /** The build context's name. */
      readonly from: string;
      readonly paths: readonly string[];
      /** How many files the step takes now; absent where what it took before is not remembered file by file. */
      readonly total?: number;
      /** How many differ. */
      readonly changed?: number;
      /** The first of them. */
      readonly changes: readonly FileChange[];
    }
  /** What a URL gives. */
  | { readonly kind: 'remote'; readonly source: string }
  /** The step takes from other things than before. */
  | { readonly kind: 'inputs' }
  | { readonly kind: 'step'; readonly step: StepName };

/** Why one step ran, or would run. */
export interface StepExplanation {
  /** As progress shows it. */
  readonly name: string;
  readonly step: StepName;
  /** `may-run`: a step that would run comes before it, and may give the same files as before. */
  readonly state: 'ran' | 'would-run' | 'may-run';
  /** Smallest first: what the step itself has that is new, then the steps it takes from. Never empty. */
  readonly causes: readonly Cause[];
}
