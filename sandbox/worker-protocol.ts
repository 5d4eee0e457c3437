import { BuildError, type ErrorCode, type ErrorDetails, isBuildError, messageOf } from '../src/core/error.ts';
import type { FileCalls, FileSinks, FileSources } from './file-jobs.ts';

/** From the main thread to a worker. `job` numbers what belongs together; `cancel` is one shared word, not 0 once the caller has given up. */
export type ToWorker =
  | {
      readonly kind: 'call';
      readonly job: number;
      readonly name: keyof FileCalls;
      readonly args: unknown;
      readonly cancel: Int32Array;
    }
  | {
      readonly kind: 'sink';
      readonly job: number;
      readonly name: keyof FileSinks;
      readonly args: unknown;
      readonly cancel: Int32Array;
    }
  | {
      readonly kind: 'source';
      readonly job: number;
      readonly name: keyof FileSources;
      readonly args: unknown;
      readonly cancel: Int32Array;
    }
  | { readonly kind: 'chunk'; readonly job: number; readonly data: Uint8Array }
  | { readonly kind: 'end'; readonly job: number }
  | { readonly kind: 'pull'; readonly job: number }
  | { readonly kind: 'abandon'; readonly job: number };

/** From a worker to the main thread. A job ends with its `result` or `error`; `taken` and `data` go on. */
export type FromWorker =
  | { readonly kind: 'result'; readonly job: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly job: number; readonly error: PlainError }
  | { readonly kind: 'taken'; readonly job: number; readonly bytes: number }
  | { readonly kind: 'data'; readonly job: number; readonly data: Uint8Array };

/** An error as data: classes do not survive the way between threads. */
export type PlainError =
  | {
      readonly kind: 'build';
      readonly code: ErrorCode;
      readonly detail: ErrorDetails[ErrorCode];
      readonly hint?: string;
    }
  | { readonly kind: 'cancelled' }
  | {
      readonly kind: 'other';
      readonly message: string;
      readonly stack?: string;
      /** Of a system call that failed. */
      readonly code?: string;
      readonly path?: string;
    };

/** Thrown inside a job whose caller has given up. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

/** `error` as data. */
export function encodeError(error: unknown): PlainError {
  if (error instanceof Cancelled) return { kind: 'cancelled' };
  if (isBuildError(error)) {
    return {
      kind: 'build',
      code: error.code,
      detail: error.detail,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    };
  }
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const path = error instanceof Error && 'path' in error && typeof error.path === 'string' ? { path: error.path } : {};
  const stack = error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {};
  return { kind: 'other', message: messageOf(error), ...stack, ...code, ...path };
}

/** The error that `plain` was made of. */
export function decodeError(plain: PlainError): Error {
  switch (plain.kind) {
    case 'build':
      return new BuildError(plain.code, plain.detail, plain.hint === undefined ? {} : { hint: plain.hint });
    case 'cancelled':
      return new Cancelled('cancelled');
    case 'other': {
      const error = new Error(plain.message);
      if (plain.stack !== undefined) error.stack = plain.stack;
      const { code, path } = plain;
      return Object.assign(error, code === undefined ? {} : { code }, path === undefined ? {} : { path });
    }
  }
}
