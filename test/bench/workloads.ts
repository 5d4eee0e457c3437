import { appendFileSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchBuild } from './builders.ts';
import { writeBigFile, writeManyFiles } from './generate-files.ts';

/** One row of the table (speed.md): a project, and what is done to it before each measured build. */
export interface Workload {
  readonly id: string;
  readonly title: string;
  readonly targetMs: number;
  /** Which generated project it builds; rows that share one share its files. */
  readonly project: ProjectName | 'none';
  /** `cold`: every build finds a store with nothing but the base images. `warm`: one that has just built the same. */
  readonly store: 'cold' | 'warm';
  readonly cache: BenchBuild['cache'];
  readonly output: 'store' | 'gzip' | 'zstd';
  /** Done before each measured build. */
  readonly touch?: (context: string, run: number) => void;
}

/** How large the files of W4 are. */
export interface Scale {
  readonly bigFileBytes: number;
}

const projects = {
  small: (folder: string): void => {
    mkdirSync(join(folder, 'src'));
    for (let i = 0; i < 50; i += 1) writeFileSync(join(folder, 'src', `file-${i}.txt`), `content ${i}\n`.repeat(20));
    const lines = [
      'FROM busybox',
      'WORKDIR /app',
      'COPY src/file-0.txt .',
      'RUN wc file-0.txt',
      'COPY src src',
      'ENV MODE=production',
    ];
    writeFileSync(join(folder, 'Dockerfile'), `${[...lines, 'RUN ls src | wc -l', 'CMD ["ls"]'].join('\n')}\n`);
  },
  steps: (folder: string): void => {
    const steps = Array.from({ length: 20 }, (_, i) => `RUN echo ${i} > /step-${i}\n`);
    writeFileSync(join(folder, 'Dockerfile'), `FROM busybox\n${steps.join('')}`);
  },
  files: (folder: string): void => {
    writeManyFiles(join(folder, 'files'), { count: 20_000, bytes: 100e6 });
    writeFileSync(join(folder, 'Dockerfile'), 'FROM busybox\nCOPY files /files\n');
  },
  big: (folder: string, { bigFileBytes }: Scale): void => {
    writeBigFile(join(folder, 'random'), { bytes: bigFileBytes, kind: 'random' });
    writeBigFile(join(folder, 'text'), { bytes: bigFileBytes, kind: 'text' });
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY random text /\n');
  },
  stages: (folder: string): void => {
    const names = ['one', 'two', 'three', 'four'];
    const stages = names.map((name) => `FROM busybox AS ${name}\nRUN sleep 1 && echo ${name} > /${name}\n`);
    const copies = names.map((name) => `COPY --from=${name} /${name} /\n`);
    writeFileSync(join(folder, 'Dockerfile'), `${stages.join('')}FROM scratch\n${copies.join('')}`);
  },
};

/** A project that can be generated. */
export type ProjectName = keyof typeof projects;

/** Writes a project's files, always the same, into an empty directory. */
export function generateProject(name: ProjectName, folder: string, scale: Scale): void {
  mkdirSync(folder, { recursive: true });
  projects[name](folder, scale);
}

/** All rows, in the order of the table. */
export const workloads: readonly Workload[] = [
  { ...row('W0', 'start-up (--version)', 50), project: 'none', store: 'warm' },
  { ...row('W1', 'no-op rebuild, 8 instructions', 70), project: 'small', store: 'warm' },
  { ...row('W2', '20 trivial RUN steps', 300), project: 'steps', store: 'warm', cache: 'ignore' },
  { ...row('W3', 'COPY of 20,000 files, cold', 1000), project: 'files', store: 'cold' },
  { ...row('W3-cached', 'the same, unchanged', 200), project: 'files', store: 'warm' },
  { ...row('W3-touched', 'the same, only mtimes touched', 200), project: 'files', store: 'warm', touch: touchAll },
  { ...row('W3-changed', 'the same, one file changed', 600), project: 'files', store: 'warm', touch: changeOne },
  { ...row('W4', 'COPY of two big files, cold', 2500), project: 'big', store: 'cold' },
  { ...row('W4-gzip', 'the same as OCI tar, gzip', 5000), project: 'big', store: 'cold', output: 'gzip' },
  { ...row('W4-zstd', 'the same as OCI tar, zstd', 3000), project: 'big', store: 'cold', output: 'zstd' },
  { ...row('W5', 'four stages of sleep 1', 1120), project: 'stages', store: 'warm', cache: 'ignore' },
];

function row(
  id: string,
  title: string,
  targetMs: number,
): Pick<Workload, 'id' | 'title' | 'targetMs' | 'cache' | 'output'> {
  return { id, title, targetMs, cache: 'use', output: 'store' };
}

function touchAll(context: string, run: number): void {
  const seconds = 1_700_000_000 + run;
  for (const entry of readdirSync(join(context, 'files'), { recursive: true, withFileTypes: true })) {
    utimesSync(join(entry.parentPath, entry.name), seconds, seconds);
  }
}

function changeOne(context: string, run: number): void {
  appendFileSync(join(context, 'files/d100/file-10050'), `run ${run}\n`);
}
