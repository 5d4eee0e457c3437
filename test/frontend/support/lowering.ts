import { expect } from 'vitest';
import { lower } from '../../../frontend/lower.ts';
import type { LowerRequest, LowerResult } from '../../../frontend/lower-request.ts';
import { AMD64, requestOf } from './request.ts';
import { parseDockerfile, type ParseResult } from '../../../frontend/parse.ts';
import type { Diagnostic } from '../../../src/core/diagnostic.ts';
import type { ExecOp, FileOp, Vertex } from '../../../src/core/graph.ts';
import type { ResolvedImage } from '../../../src/core/source.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import type { ContainerConfig, HistoryEntry } from '../../../src/oci/image-config.ts';
import type { Platform } from '../../../src/oci/platform.ts';

export type Complete = Extract<LowerResult, { kind: 'complete' }>;

/** What an image of the tests is made of. */
export interface FakeImage {
  readonly config?: ContainerConfig;
  readonly layers?: number;
  readonly platform?: Platform;
  readonly history?: readonly HistoryEntry[];
}

/** An image that `resolve` could have given. */
export function fakeImage(
  reference: string,
  { config = {}, layers = 1, platform = AMD64, history }: FakeImage = {},
): ResolvedImage {
  const parts = Array.from({ length: layers }, (_, i) => digestOf(`${reference} layer ${i}`));
  return {
    reference,
    manifest: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digestOf(reference), size: 1 },
    configDigest: digestOf(`${reference} config`),
    config: {
      ...platform,
      config,
      rootfs: { type: 'layers', diff_ids: parts },
      history: history ?? parts.map((_, i) => ({ created_by: `base layer ${i}` })),
    },
    layers: parts.map((digest) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 1 })),
  };
}

export function parseText(text: string | Uint8Array): ParseResult {
  return parseDockerfile(typeof text === 'string' ? Buffer.from(text) : text, { file: 'Dockerfile' });
}

/** Parses and lowers `text`, giving every image that is asked for; `images` says what they hold, by their short names. */
export function lowerText(
  text: string,
  change: Partial<LowerRequest> = {},
  images: Readonly<Record<string, FakeImage>> = {},
): LowerResult {
  const { dockerfile, diagnostics } = parseText(text);
  expect(diagnostics).toEqual([]);
  const known = new Map<string, ResolvedImage>();
  for (;;) {
    const result = lower(dockerfile, requestOf({ ...change, images: known }));
    if (result.kind !== 'needs-images') return result;
    for (const { key, reference } of result.requests) {
      expect(known.has(key)).toBe(false);
      const short = reference.replace('docker.io/library/', '').replace(/:latest$/, '');
      known.set(key, fakeImage(reference, images[short]));
    }
  }
}

/** As `lowerText`, for what must succeed. */
export function complete(
  text: string,
  change: Partial<LowerRequest> = {},
  images: Readonly<Record<string, FakeImage>> = {},
): Complete {
  const result = lowerText(text, change, images);
  if (result.kind !== 'complete') expect.fail(JSON.stringify(result));
  return result;
}

/** The errors of `text`, in parsing or lowering. */
export function errorsOf(text: string | Uint8Array, change: Partial<LowerRequest> = {}): readonly Diagnostic[] {
  const { diagnostics } = parseText(text);
  if (diagnostics.length > 0) return diagnostics;
  const result = lowerText(String(text), change);
  return result.kind === 'invalid' ? result.diagnostics.filter(({ severity }) => severity === 'error') : [];
}

/** The first error's message. */
export function errorOf(text: string | Uint8Array, change: Partial<LowerRequest> = {}): string | undefined {
  return errorsOf(text, change)[0]?.message;
}

/** The lint findings, as `Rule: message`. */
export function warningsOf(
  text: string,
  change: Partial<LowerRequest> = {},
  images: Readonly<Record<string, FakeImage>> = {},
): readonly string[] {
  return complete(text, change, images).diagnostics.map(({ code, message }) => `${code}: ${message}`);
}

/** The texts of the history that this build adds. */
export function historyOf({ draft }: Complete): readonly (string | undefined)[] {
  return draft.history.filter(({ comment }) => comment !== undefined).map(({ created_by }) => created_by);
}

export function execs({ graph }: Complete): readonly ExecOp[] {
  return [...graph.values()].map(({ op }) => op).filter((op) => op.kind === 'exec');
}

export function fileOps({ graph }: Complete): readonly FileOp[] {
  return [...graph.values()].map(({ op }) => op).filter((op) => op.kind === 'file');
}

/** The names of all steps, in the order of the graph. */
export function stepNames({ graph }: Complete): readonly string[] {
  return Array.from(graph.values(), ({ meta }: Vertex) => meta.name);
}

/** The environment of the last RUN. */
export function envOf(result: Complete): Readonly<Record<string, string>> {
  const pairs = execs(result).at(-1)?.env ?? [];
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}
