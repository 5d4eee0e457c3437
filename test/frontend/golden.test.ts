import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lower } from '../../frontend/lower.ts';
import type { LowerRequest } from '../../frontend/lower-request.ts';
import { parseDockerfile } from '../../frontend/parse.ts';
import type { Dockerfile } from '../../frontend/ast.ts';
import type { Instruction } from '../../frontend/instruction.ts';
import type { BuildGraph } from '../../src/core/graph.ts';
import type { ResolvedImage } from '../../src/core/source.ts';
import { fakeImage, type FakeImage } from './support/lowering.ts';
import { requestOf } from './support/request.ts';

/** Set to rewrite what is expected; look at the difference before you commit it. */
const UPDATE = process.env['TSBUILD_UPDATE_GOLDEN'] === '1';
const ROOT = join(import.meta.dirname, 'golden');

/** A case's args.json. */
interface Args {
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly request?: Partial<LowerRequest>;
  /** By short names. */
  readonly images?: Readonly<Record<string, FakeImage>>;
}

describe('golden', () => {
  it.each(readdirSync(ROOT))('golden: %s', (name) => {
    const directory = join(ROOT, name);
    const args: Args = existsSync(join(directory, 'args.json'))
      ? (JSON.parse(readFileSync(join(directory, 'args.json'), 'utf8')) as Args)
      : {};
    for (const [part, value] of Object.entries(run(readFileSync(join(directory, 'Dockerfile')), args)))
      expectGolden(join(directory, 'expect', `${part}.json`), value);
  });
});

function expectGolden(path: string, value: unknown): void {
  const text = `${JSON.stringify(value, bytesAsText, 2)}\n`;
  if (UPDATE) {
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, text);
  }
  expect(text).toBe(readFileSync(path, 'utf8'));
}

function run(text: Uint8Array, args: Args): Readonly<Record<string, unknown>> {
  const { dockerfile, diagnostics } = parseDockerfile(text, { file: 'Dockerfile' });
  const ast = astOf(dockerfile);
  if (diagnostics.some(({ severity }) => severity === 'error')) return { ast, diagnostics };
  const images = new Map<string, ResolvedImage>();
  const { target } = args;
  for (;;) {
    const request = requestOf({
      buildArgs: new Map(Object.entries(args.buildArgs ?? {})),
      images,
      ...(target !== undefined && { target }),
      ...args.request,
    });
    const result = lower(dockerfile, request);
    if (result.kind === 'invalid') return { ast, diagnostics: result.diagnostics };
    if (result.kind === 'complete')
      return { ast, graph: graphOf(result.graph), image: result.draft, diagnostics: result.diagnostics };
    for (const { key, reference } of result.requests) {
      images.set(
        key,
        fakeImage(reference, args.images?.[reference.replace('docker.io/library/', '').replace(/:latest$/, '')]),
      );
    }
  }
}

function astOf({ escape, directives, globalArgs, stages }: Dockerfile): unknown {
  return {
    escape,
    directives: directives.map(({ name, value }) => [name, value]),
    globalArgs: globalArgs.map(({ node }) => node),
    stages: stages.map(({ node, instructions }) => ({ from: node, instructions: instructions.map(instructionOf) })),
  };
}

function instructionOf({ keyword, command, range }: Instruction): unknown {
  return { keyword, lines: [range.start.line, range.end.line], node: command.node };
}

/** The vertices with short numbers in place of their ids. */
function graphOf(graph: BuildGraph): unknown {
  const numbers = new Map([...graph.keys()].map((id, i) => [id, i]));
  return Array.from(graph.values(), ({ op, inputs, meta }) => ({
    name: meta.name,
    op,
    inputs: inputs.map((id) => numbers.get(id)),
  }));
}

function bytesAsText(_key: string, value: unknown): unknown {
  const buffer = value as { type?: unknown; data?: unknown } | null;
  if (typeof value === 'object' && buffer?.type === 'Buffer' && Array.isArray(buffer.data))
    return Buffer.from(buffer.data as number[]).toString();
  return value instanceof Uint8Array ? Buffer.from(value).toString() : value;
}
