import type { Diagnostic, SourceRange } from './diagnostic.ts';

/** Everything that a user can reach, with the facts each error carries. The whole vocabulary of failures stands in this table and the next. */
export interface ErrorDetails {
  DOCKERFILE_INVALID: { file: string; diagnostics: readonly Diagnostic[] };
  DOCKERFILE_NOT_FOUND: { path: string };
  CHECK_FAILED: { file: string; rules: readonly string[]; diagnostics: readonly Diagnostic[] };
  STAGE_NOT_FOUND: { stage: string; known: readonly string[] };
  CONTEXT_NOT_FOUND: { path: string };
  CONTEXT_CHANGED: { path: string };
  SOURCE_NOT_FOUND: { path: string; where: string; reason?: string };
  SOURCE_UNREADABLE: { path: string; where: string; reason: string; remedy: string };
  COPY_INVALID: { path: string; reason: string };
  PATH_INVALID: { path: string; reason: string };
  USER_NOT_FOUND: { name: string; file: string };
  ID_NOT_MAPPED: { uid: number; gid: number };
  EXEC_FAILED: { command: string; exitCode?: number; signal?: string; reason?: string };
  EXEC_NOT_STARTED: { command: string; reason: string };
  OUT_OF_MEMORY: { command: string; limitBytes: number; peakBytes: number };
  NOT_ALLOWED: { entitlement: string; why: string };
  SECRET_NOT_FOUND: { id: string };
  SSH_NOT_FOUND: { id: string };
  SSH_KEY_INVALID: { path: string; reason: string };
  DEVICE_NOT_FOUND: { name: string; directories: readonly string[]; known: readonly string[] };
  DEVICE_INVALID: { name: string; file: string; reason: string };
  IMAGE_NOT_FOUND: { reference: string; reason?: string };
  PLATFORM_NOT_FOUND: { reference: string; platform: string; known: readonly string[] };
  REFERENCE_INVALID: { reference: string };
  REGISTRY_UNREACHABLE: { registry: string; reason: string };
  REGISTRY_REFUSED: { registry: string; status: number; reason: string };
  DOWNLOAD_FAILED: { url: string; reason: string };
  GIT_FAILED: { remote: string; reason: string };
  DIGEST_MISMATCH: { what: string; expected: string; actual: string };
  DOCUMENT_INVALID: { what: string; reason: string };
  LAYER_INVALID: { what: string; reason: string };
  ARCHIVE_INVALID: { path: string; reason: string };
  OUTPUT_INVALID: { output: string; reason: string };
  OUTPUT_FAILED: { path: string; reason: string };
  CACHE_INVALID: { cache: string; reason: string };
  STORE_UNUSABLE: { path: string; reason: string };
  STORE_FULL: { path: string; neededBytes?: number };
  DISK_FAILED: { path: string; reason: string };
  BLOB_NOT_FOUND: { digest: string };
  KERNEL_FEATURE_MISSING: { feature: string; reason: string; remedy?: string };
  SANDBOX_FAILED: { step: string; reason: string };
  USAGE: { problem: string; suggestion?: string };
  UNSUPPORTED: { what: string; instead?: string };
}

/** A stable name of a failure: documented, matched by tests, printed before the message. */
export type ErrorCode = keyof ErrorDetails;

interface ErrorText<D> {
  /** Lower case, no full stop: what failed, then the thing. */
  readonly message: (detail: D) => string;
  /** The way out, where there is one that holds generally. */
  readonly hint?: (detail: D) => string | undefined;
  /** The process exit status: 1 the build failed, 2 the request was unusable. */
  readonly exitStatus: 1 | 2;
}

/** Characters of a command that a message shows. */
const MAX_SHOWN = 1000;

const oneOf = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));

const texts: { readonly [C in ErrorCode]: ErrorText<ErrorDetails[C]> } = {
  DOCKERFILE_INVALID: {
    message: (d) => d.diagnostics[0]?.message ?? `${d.file} is not a valid Dockerfile`,
    hint: (d) => d.diagnostics[0]?.help,
    exitStatus: 1,
  },
  DOCKERFILE_NOT_FOUND: {
    message: (d) => `no Dockerfile at ${d.path}`,
    hint: () => 'name it with --file',
    exitStatus: 1,
  },
  CHECK_FAILED: { message: (d) => `lint violation found for rules: ${d.rules.join(', ')}`, exitStatus: 1 },
  STAGE_NOT_FOUND: {
    message: (d) => `no stage is named ${JSON.stringify(d.stage)}`,
    hint: (d) => `the stages are: ${oneOf(d.known)}`,
    exitStatus: 1,
  },
  CONTEXT_NOT_FOUND: { message: (d) => `the build context ${d.path} is not a directory`, exitStatus: 2 },
  CONTEXT_CHANGED: {
    message: (d) => `${d.path} changed while it was being copied`,
    hint: () => 'let the program that writes it finish, then build again',
    exitStatus: 1,
  },
  SOURCE_NOT_FOUND: {
    message: (d) => `${JSON.stringify(d.path)} is not in ${d.where}${d.reason === undefined ? '' : `; ${d.reason}`}`,
    exitStatus: 1,
  },
  SOURCE_UNREADABLE: {
    message: (d) => `cannot read ${JSON.stringify(d.path)} in ${d.where}: ${d.reason}`,
    hint: (d) => d.remedy,
    exitStatus: 1,
  },
  COPY_INVALID: { message: (d) => `cannot copy to ${d.path}: ${d.reason}`, exitStatus: 1 },
  PATH_INVALID: { message: (d) => `path ${JSON.stringify(d.path)} ${d.reason}`, exitStatus: 1 },
  USER_NOT_FOUND: {
    message: (d) => `no ${JSON.stringify(d.name)} in ${d.file}`,
    hint: () => 'create it in an earlier RUN, or give a numeric id',
    exitStatus: 1,
  },
  ID_NOT_MAPPED: {
    message: (d) =>
      `nothing can belong to ${d.uid}:${d.gid} here: the user namespace of this build lacks one of these ids`,
    hint: () =>
      'apt-get install uidmap; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER; or build as root',
    exitStatus: 1,
  },
  EXEC_FAILED: {
    message: (d) =>
      `process "${shownCommand(d.command)}" did not complete successfully: ` +
      (d.signal === undefined ? `exit code: ${d.exitCode ?? 'unknown'}` : `killed by ${d.signal}`),
    hint: (d) => d.reason,
    exitStatus: 1,
  },
  EXEC_NOT_STARTED: {
    message: (d) => `process "${shownCommand(d.command)}" could not be started: ${d.reason}`,
    exitStatus: 1,
  },
  OUT_OF_MEMORY: {
    message: (d) =>
      `process "${shownCommand(d.command)}" did not complete successfully: out of memory: limit ${formatBytes(d.limitBytes)}, peak ${formatBytes(d.peakBytes)}`,
    hint: () => 'raise it with --resource memory=',
    exitStatus: 1,
  },
  NOT_ALLOWED: {
    message: (d) => `${d.why} needs the entitlement ${d.entitlement}`,
    hint: (d) => `grant it with --allow ${d.entitlement}`,
    exitStatus: 1,
  },
  SECRET_NOT_FOUND: {
    message: (d) => `the required secret ${JSON.stringify(d.id)} was not given`,
    hint: (d) => `give it with --secret id=${d.id},src=FILE`,
    exitStatus: 1,
  },
  SSH_NOT_FOUND: {
    message: (d) => `the required ssh agent ${JSON.stringify(d.id)} was not given`,
    hint: (d) => `give it with --ssh ${d.id}`,
    exitStatus: 1,
  },
  SSH_KEY_INVALID: {
    message: (d) => `the ssh key ${d.path} cannot be used: ${d.reason}`,
    hint: () => 'add it to an agent with ssh-add, and hand over the agent with --ssh default',
    exitStatus: 1,
  },
  DEVICE_NOT_FOUND: {
    message: (d) => `the required device ${d.name} is in no CDI spec of ${d.directories.join(', ')}`,
    hint: (d) =>
      d.known.length === 0 ? '--cdi-spec-dir names a directory of specs' : `the devices are: ${oneOf(d.known)}`,
    exitStatus: 1,
  },
  DEVICE_INVALID: { message: (d) => `the device ${d.name} of ${d.file} cannot be used: ${d.reason}`, exitStatus: 1 },
  IMAGE_NOT_FOUND: {
    message: (d) => `image ${d.reference} was not found${d.reason === undefined ? '' : `: ${d.reason}`}`,
    exitStatus: 1,
  },
  PLATFORM_NOT_FOUND: {
    message: (d) => `image ${d.reference} has no ${d.platform}`,
    hint: (d) => `it offers: ${oneOf(d.known)}`,
    exitStatus: 1,
  },
  REFERENCE_INVALID: {
    message: (d) => `invalid image reference ${JSON.stringify(d.reference)}`,
    hint: () => 'write [REGISTRY/]NAME[:TAG][@DIGEST], the name in lower case',
    exitStatus: 2,
  },
  REGISTRY_UNREACHABLE: {
    message: (d) => `registry ${d.registry} cannot be reached: ${d.reason}`,
    hint: () => 'check the name and the network, or configure a mirror with --registry-mirror',
    exitStatus: 1,
  },
  REGISTRY_REFUSED: {
    message: (d) => `registry ${d.registry} answered ${d.status}: ${d.reason}`,
    exitStatus: 1,
  },
  DOWNLOAD_FAILED: { message: (d) => `download of ${d.url} failed: ${d.reason}`, exitStatus: 1 },
  GIT_FAILED: { message: (d) => `git ${d.remote} failed: ${d.reason}`, exitStatus: 1 },
  DIGEST_MISMATCH: {
    message: (d) => `${d.what} has digest ${d.actual}, but ${d.expected} was expected`,
    exitStatus: 1,
  },
  DOCUMENT_INVALID: { message: (d) => `${d.what} is not valid: ${d.reason}`, exitStatus: 1 },
  LAYER_INVALID: { message: (d) => `layer ${d.what} is not valid: ${d.reason}`, exitStatus: 1 },
  ARCHIVE_INVALID: { message: (d) => `archive ${d.path} is not valid: ${d.reason}`, exitStatus: 1 },
  OUTPUT_INVALID: { message: (d) => `invalid output ${JSON.stringify(d.output)}: ${d.reason}`, exitStatus: 2 },
  OUTPUT_FAILED: { message: (d) => `cannot write ${d.path}: ${d.reason}`, exitStatus: 1 },
  CACHE_INVALID: { message: (d) => `invalid cache ${JSON.stringify(d.cache)}: ${d.reason}`, exitStatus: 2 },
  STORE_UNUSABLE: {
    message: (d) => `the store ${d.path} cannot be used: ${d.reason}`,
    hint: () => 'choose another directory with --store or TSBUILD_STORE',
    exitStatus: 1,
  },
  STORE_FULL: {
    message: (d) =>
      `no space left for the store ${d.path}` + (d.neededBytes === undefined ? '' : `: ${d.neededBytes} bytes needed`),
    hint: () => 'free space with: tsbuild prune',
    exitStatus: 1,
  },
  DISK_FAILED: {
    message: (d) => `the disk fails at ${d.path}: ${d.reason}`,
    hint: () => 'dmesg says more, and tsbuild verify-store what is damaged; --store names a store on another disk',
    exitStatus: 1,
  },
  BLOB_NOT_FOUND: { message: (d) => `blob ${d.digest} is not in the store`, exitStatus: 1 },
  KERNEL_FEATURE_MISSING: {
    message: (d) => `${d.feature} is not available here: ${d.reason}`,
    hint: (d) => d.remedy,
    exitStatus: 1,
  },
  SANDBOX_FAILED: { message: (d) => `the sandbox could not be set up: ${d.step}: ${d.reason}`, exitStatus: 1 },
  USAGE: { message: (d) => d.problem, hint: (d) => d.suggestion, exitStatus: 2 },
  UNSUPPORTED: { message: (d) => `${d.what} is not supported`, hint: (d) => d.instead, exitStatus: 1 },
};

/** What may be known about a failure besides its detail. */
export interface BuildErrorContext {
  readonly range?: SourceRange;
  readonly cause?: unknown;
  /** Replaces the code's general hint where the place knows better. */
  readonly hint?: string;
}

/** A failure that a user can reach and mend, as opposed to a bug (see `invariant`). */
export class BuildError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'BuildError';
  readonly code: C;
  readonly detail: ErrorDetails[C];
  readonly range: SourceRange | undefined;
  readonly hint: string | undefined;
  readonly exitStatus: 1 | 2;

  constructor(code: C, detail: ErrorDetails[C], context: BuildErrorContext = {}) {
    const text: ErrorText<ErrorDetails[C]> = texts[code];
    super(text.message(detail), context.cause === undefined ? undefined : { cause: context.cause });
    this.code = code;
    this.detail = detail;
    this.range = context.range;
    this.hint = context.hint ?? text.hint?.(detail);
    this.exitStatus = text.exitStatus;
  }

  /** The same failure with the place where it came about; a place already known stays. */
  at(range: SourceRange | undefined): BuildError<C> {
    if (range === undefined || this.range !== undefined) return this;
    return new BuildError(this.code, this.detail, {
      range,
      ...(this.cause === undefined ? {} : { cause: this.cause }),
      ...(this.hint === undefined ? {} : { hint: this.hint }),
    });
  }
}

/** Whether `error` is a `BuildError`, and of that code where one is named. */
export function isBuildError<C extends ErrorCode = ErrorCode>(error: unknown, code?: C): error is BuildError<C> {
  return error instanceof BuildError && (code === undefined || error.code === code);
}

/** Whether `error` comes from a system call that failed with `code` (`'ENOENT'`). */
export function isErrno(error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}

/** What EIO means to people, `undefined` for any other error. `path` stands in where the system call names none. */
export function diskFailure(error: unknown, path: string): BuildError<'DISK_FAILED'> | undefined {
  if (isErrno(error, 'EIO'))
    return new BuildError('DISK_FAILED', { path: error.path ?? path, reason: error.message }, { cause: error });
  // Node's rmSync gives this errno no name.
  const [, removed] = RM_FAILED.exec(error instanceof Error ? error.message : '') ?? [];
  return removed === undefined
    ? undefined
    : new BuildError('DISK_FAILED', { path: removed, reason: 'EIO: i/o error, rm' }, { cause: error });
}

const RM_FAILED = /^, Unknown error: Input\/output error '(.*)'$/s;

/** The message of whatever was thrown, for use inside another message. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Stops on a bug: a condition that no input can break unless the program is wrong. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`bug in tsbuild: ${message}`);
}

/** A script can be the command, and a long one would bury what is said about it. */
function shownCommand(command: string): string {
  return command.length > MAX_SHOWN ? `${command.slice(0, MAX_SHOWN)}…` : command;
}

/** Bytes in the units in which limits are written: `64 MiB`, `1.5 GiB`, `999 B`. */
function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${units[power]}`;
}
