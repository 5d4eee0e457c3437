import type { GraphBuilder } from '../src/core/graph.ts';
import type { Fuel } from './expand-pattern.ts';
import type { LintReporter } from './lint/reporter.ts';
import type { LowerRequest } from './lower-request.ts';
import type { PersistentMap } from './persistent.ts';
import type { Names } from './stages.ts';
import type { EscapeCharacter } from './syntax/elements.ts';

/** What all stages of a build share. */
export interface Lowering {
  readonly request: LowerRequest;
  readonly globals: PersistentMap<string>;
  readonly names: Names;
  readonly escape: EscapeCharacter;
  readonly fuel: Fuel;
  readonly graph: GraphBuilder;
  readonly epochSeconds: number | undefined;
  readonly reporter: LintReporter;
}
