import type { BuildRequest, BuildResult, StoreOptions } from './build-request.ts';
import type {
  CheckResult,
  ExplainResult,
  MachineReport,
  OutlineResult,
  PlanResult,
  StoreHandle,
  TargetsResult,
} from './store-handle.ts';

export { BuildError, isBuildError } from './core/error.ts';
export type { ErrorCode, ErrorDetails } from './core/error.ts';
export type { Diagnostic, Position, SourceEdit, SourceRange } from './core/diagnostic.ts';
export type { Cause, FileChange, StepExplanation, StepName } from './core/explanation.ts';
export type { ProgressEvent, ProgressListener, StepInfo } from './core/progress.ts';
export type * from './build-request.ts';
export type * from './store-handle.ts';

// Each function loads what it needs when it is called: a program that lists images does not wait for the solver.

/** Builds what `request` asks for, and leaves nothing else behind. @throws BuildError; `request.signal.reason` when aborted */
export async function build(request: BuildRequest, store: StoreOptions): Promise<BuildResult> {
  return (await import('./build.ts')).build(request, store);
}

/** Everything that is wrong or doubtful in a Dockerfile; nothing is built. @throws BuildError for inputs that cannot be read */
export async function check(request: BuildRequest, store: StoreOptions): Promise<CheckResult> {
  return (await import('./wiring/check.ts')).check(request, store);
}

/** The build args, secrets and agents that the target can be given. @throws BuildError */
export async function outline(request: BuildRequest, store: StoreOptions): Promise<OutlineResult> {
  return (await import('./wiring/outline.ts')).outline(request, store);
}

/** The stages that can be built. @throws BuildError */
export async function targets(request: BuildRequest, store: StoreOptions): Promise<TargetsResult> {
  return (await import('./wiring/outline.ts')).targets(request, store);
}

/** Why a build would run what it would run; nothing is run, nothing fetched but metadata. @throws BuildError */
export async function explain(request: BuildRequest, store: StoreOptions): Promise<ExplainResult> {
  return (await import('./wiring/forecast.ts')).explain(request, store);
}

/** What a build would do and how long that would take; nothing is run, nothing fetched but metadata. @throws BuildError */
export async function plan(request: BuildRequest, store: StoreOptions): Promise<PlanResult> {
  return (await import('./wiring/forecast.ts')).plan(request, store);
}

/** The store's images and caches, to be disposed by the caller. @throws STORE_UNUSABLE */
export async function openStore(store: StoreOptions): Promise<StoreHandle> {
  return (await import('./wiring/open-store.ts')).openStore(store);
}

/** What this machine offers to builds, tried out; the store is not made. */
export async function doctor(store: StoreOptions): Promise<MachineReport> {
  return (await import('./wiring/doctor.ts')).doctor(store);
}
