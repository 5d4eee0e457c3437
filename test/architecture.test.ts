import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { basename, join, posix, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Sources by path from the root, e.g. `src/oci/digest.ts`. */
type Sources = ReadonlyMap<string, string>;

/** A part of the program: which files it holds, which other parts and which built-in modules these may import. */
interface Tier {
  readonly name: string;
  readonly holds: (path: string) => boolean;
  readonly mayImport: readonly string[];
  readonly builtins: readonly string[] | 'all';
}

const words = ['src/core', 'src/oci'];
/** The public API's vocabulary: data and interfaces. */
const api = ['src/build-request.ts', 'src/store-handle.ts'];
const workers = ['frontend', 'solver', 'sandbox', 'src/source', 'src/registry', 'src/store', 'src/export'];
const pure = ['buffer', 'crypto', 'path', 'path/posix', 'util'];
const streams = ['events', 'stream', 'stream/promises', 'zlib'];

const tiers: readonly Tier[] = [
  folder('src/oci', [], [...pure, ...streams]),
  folder('src/core', ['src/oci'], [...pure, ...streams]),
  // node:module: a package that is only needed for flaws is loaded when there is one.
  folder('frontend', words, [...pure, 'module']),
  folder('solver', words, pure),
  ...workers.filter((name) => name !== 'frontend' && name !== 'solver').map((name) => folder(name, words, 'all')),
  ...api.map((name) => file(name, [...words, ...api], pure)),
  folder('src/wiring', [...words, ...workers, ...api], 'all'),
  file('src/build.ts', [...words, ...workers, ...api, 'src/wiring'], 'all'),
  file('src/index.ts', [...words, ...api, 'src/build.ts', 'src/wiring'], pure),
  file('src/rootless.ts', ['sandbox'], []),
  folder('src/cli', [...words, ...api, 'src/build.ts', 'src/index.ts', 'src/rootless.ts'], 'all'),
];

const topLevel = [
  'LICENSE',
  'README.md',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'src',
  'frontend',
  'solver',
  'sandbox',
  'test',
  'examples',
  'node_modules',
  'dist',
  'coverage',
];
const indexFiles = ['src/index.ts', 'frontend/instructions/index.ts'];
const vagueName = /(^|-)(utils?|helpers?|types|managers?|common|misc)$/;
const fixtures = /\/(golden|fixtures|cases)\//;
const maxLines = 400;
/** A few, e.g. `node:sqlite`, exist only with their prefix and are listed with it. */
const bareBuiltins = new Set(builtinModules.filter((name) => !name.startsWith('node:')));

const root = resolve(import.meta.dirname, '..');
const sources = readSources('{src,frontend,solver,sandbox}/**/*.ts');
const tests = readSources('test/**/*.ts');
const everything: Sources = new Map([...sources, ...tests]);

describe('architecture of the tree', () => {
  it('there are sources to check', () => {
    expect([...sources.keys()]).toContain('src/oci/digest.ts');
    expect([...tests.keys()]).toContain('test/architecture.test.ts');
  });
  it('tiers: every file is in one and imports only what its tier may', () => {
    expect(tierViolations(sources)).toEqual([]);
  });
  it('built-ins: words, frontend and solver do no I/O', () => {
    expect(builtinViolations(sources)).toEqual([]);
  });
  it('imports: no cycles', () => {
    expect(importCycles(sources)).toEqual([]);
  });
  it('imports: name files with .ts, built-ins with node:', () => {
    expect(specifierViolations(everything)).toEqual([]);
  });
  it('names: say what a file holds', () => {
    expect(nameViolations(everything)).toEqual([]);
  });
  it('exports: none is a default export', () => {
    expect(defaultExports(everything)).toEqual([]);
  });
  it(`files: at most ${maxLines} lines`, () => {
    expect(longFiles(sources)).toEqual([]);
  });
  it('top level: holds nothing unexpected', () => {
    expect(topLevelViolations(readdirSync(root))).toEqual([]);
  });
});

describe('the checks themselves', () => {
  it('imports: are found in each of their forms, and not in prose', () => {
    const text = [
      "import a, { type B } from 'named';",
      "import {\n  c,\n  d,\n} from './lines.ts';",
      "import * as e from 'star';",
      "import type { F } from 'type';",
      "import 'effect';",
      "export { g } from 'exported';",
      "export * from 'all';",
      "export type { H } from 'exported-type';",
      "const i = await import('dynamic');",
      "const j = process.getBuiltinModule('node:fs');",
      "const k = require('required');",
      "// import l from 'comment';",
      "/**\n * import m from 'docs';\n * `await import('docs')`\n */",
      "const n = 'a line from', o = 'text';",
    ].join('\n');
    expect(specifiersOf(text).toSorted()).toEqual(
      ['named', './lines.ts', 'star', 'type', 'effect', 'exported', 'all', 'exported-type', 'dynamic']
        .concat(['node:fs', 'required'])
        .toSorted(),
    );
  });

  it.each([
    ['src/oci/a.ts', '../core/b.ts'],
    ['src/core/a.ts', '../store/b.ts'],
    ['src/core/a.ts', '../build.ts'],
    ['frontend/a.ts', '../solver/b.ts'],
    ['solver/ops/a.ts', '../../sandbox/b.ts'],
    ['sandbox/a.ts', '../src/store/b.ts'],
    ['src/store/a.ts', '../registry/b.ts'],
    ['src/export/a.ts', '../build.ts'],
    ['src/cli/a.ts', '../store/b.ts'],
    ['src/cli/a.ts', '../../sandbox/b.ts'],
    ['src/index.ts', './store/b.ts'],
    ['src/build.ts', './cli/b.ts'],
    ['src/build-request.ts', './build.ts'],
    ['src/store-handle.ts', './store/b.ts'],
    ['src/core/a.ts', '../../test/b.ts'],
  ])('tiers: %s may not import %s', (path, specifier) => {
    expect(tierViolations(oneFile(path, `import { b } from '${specifier}';`))).toHaveLength(1);
  });
  it.each([
    ['src/core/a.ts', '../oci/b.ts'],
    ['src/core/a.ts', './b.ts'],
    ['sandbox/a.ts', '../src/core/b.ts'],
    ['src/build.ts', '../sandbox/b.ts'],
    ['src/cli/a.ts', '../build.ts'],
    ['src/oci/a.ts', 'tar-stream'],
  ])('tiers: %s may import %s', (path, specifier) => {
    expect(tierViolations(oneFile(path, `import { b } from '${specifier}';`))).toEqual([]);
  });
  it('tiers: a file in none is a violation', () => {
    expect(tierViolations(oneFile('src/other/a.ts', ''))).toEqual(['src/other/a.ts: belongs to no tier']);
  });

  it.each(['frontend/a.ts', 'solver/a.ts', 'src/core/a.ts', 'src/oci/a.ts'])('built-ins: %s may not do I/O', (path) => {
    for (const name of ['fs', 'fs/promises', 'child_process', 'net', 'http', 'https', 'worker_threads', 'sqlite']) {
      expect(builtinViolations(oneFile(path, `import { a } from 'node:${name}';`)), name).toHaveLength(1);
    }
    expect(builtinViolations(oneFile(path, "import { createHash } from 'node:crypto';"))).toEqual([]);
  });
  it('built-ins: a worker with effects may use any', () => {
    expect(builtinViolations(oneFile('src/store/a.ts', "import { a } from 'node:fs';"))).toEqual([]);
  });

  it('cycles: each is reported once, from its first file', () => {
    const cyclic = new Map([
      ['src/core/a.ts', "import { b } from './b.ts';"],
      ['src/core/b.ts', "import type { c } from './c.ts';"],
      ['src/core/c.ts', "export { a } from './a.ts';\nimport { d } from './d.ts';"],
      ['src/core/d.ts', "import { e } from './e.ts';"],
      ['src/core/e.ts', ''],
    ]);
    expect(importCycles(cyclic)).toEqual(['src/core/a.ts → src/core/b.ts → src/core/c.ts → src/core/a.ts']);
    expect(importCycles(oneFile('src/core/a.ts', "import './a.ts';"))).toHaveLength(1);
  });
  it('cycles: two paths to one file are none', () => {
    const diamond = new Map([
      ['src/core/a.ts', "import './b.ts';\nimport './c.ts';"],
      ['src/core/b.ts', "import './d.ts';"],
      ['src/core/c.ts', "import './d.ts';"],
      ['src/core/d.ts', ''],
    ]);
    expect(importCycles(diamond)).toEqual([]);
  });

  it.each(['./b', './b.js', '..', 'fs', 'fs/promises'])('specifiers: %s is refused', (specifier) => {
    expect(specifierViolations(oneFile('src/core/a.ts', `import { b } from '${specifier}';`))).toHaveLength(1);
  });
  it.each(['./b.ts', 'node:fs', 'node:sqlite', 'tar-stream'])('specifiers: %s is accepted', (specifier) => {
    expect(specifierViolations(oneFile('src/core/a.ts', `import { b } from '${specifier}';`))).toEqual([]);
  });

  it.each([
    'src/utils.ts',
    'solver/op-helpers.ts',
    'src/core/types.ts',
    'src/store/cache-manager.ts',
    'solver/index.ts',
  ])('names: %s is refused', (path) => expect(nameViolations(oneFile(path, ''))).toHaveLength(1));
  it.each(['sandbox/pathInRoot.ts', 'test/oci/Digest.test.ts', 'src/core/file_backend.ts'])(
    'names: %s is not kebab-case',
    (path) => expect(nameViolations(oneFile(path, ''))).toHaveLength(1),
  );
  it.each(['src/index.ts', 'frontend/instructions/index.ts', 'src/oci/media-type.ts', 'test/oci/digest.test.ts'])(
    'names: %s is accepted',
    (path) => expect(nameViolations(oneFile(path, ''))).toEqual([]),
  );

  it.each(['export default 1;', 'const a = 1;\nexport { a as default };'])('default exports: %j is refused', (text) => {
    expect(defaultExports(oneFile('src/core/a.ts', text))).toHaveLength(1);
  });
  it('default exports: a named export is accepted', () => {
    expect(defaultExports(oneFile('src/core/a.ts', 'export const defaultName = 1;'))).toEqual([]);
  });

  it('length: the last allowed line and the one after it', () => {
    expect(longFiles(oneFile('src/core/a.ts', '\n'.repeat(maxLines)))).toEqual([]);
    expect(longFiles(oneFile('src/core/a.ts', '\n'.repeat(maxLines + 1)))).toHaveLength(1);
  });

  it('top level: a stray file is refused, a dot file is not', () => {
    expect(topLevelViolations(['src', 'lib', '.gitignore'])).toEqual(['lib']);
  });
});

function tierViolations(files: Sources): string[] {
  return [...files].flatMap(([path, text]) => {
    const tier = tierOf(path);
    if (tier === undefined) return [`${path}: belongs to no tier`];
    return relativeImports(path, text)
      .filter((target) => ![tier.name, ...tier.mayImport].includes(tierOf(target)?.name ?? ''))
      .map((target) => `${path}: ${tier.name} may not import ${target}`);
  });
}

function builtinViolations(files: Sources): string[] {
  return [...files].flatMap(([path, text]) => {
    const permitted = tierOf(path)?.builtins ?? [];
    if (permitted === 'all') return [];
    return specifiersOf(text)
      .filter((specifier) => specifier.startsWith('node:') && !permitted.includes(specifier.slice('node:'.length)))
      .map((specifier) => `${path}: may not use ${specifier}`);
  });
}

/** Cycles written from their alphabetically first file, each once. Type imports count: a cycle of words is one concept in two homes. */
function importCycles(files: Sources): string[] {
  const edges = new Map([...files].map(([path, text]) => [path, relativeImports(path, text)]));
  const cycles = new Set<string>();
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) cycles.add(formatCycle(trail.slice(at)));
    if (at >= 0 || finished.has(path)) return;
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
    finished.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return [...cycles].toSorted();
}

function formatCycle(cycle: readonly string[]): string {
  const first = cycle.indexOf(cycle.toSorted()[0] ?? '');
  const turned = [...cycle.slice(first), ...cycle.slice(0, first)];
  return [...turned, ...turned.slice(0, 1)].join(' → ');
}

function specifierViolations(files: Sources): string[] {
  return [...files].flatMap(([path, text]) =>
    specifiersOf(text)
      .filter((name) => (name.startsWith('.') ? !/\.ts$|\/require-node-24\.js$/.test(name) : bareBuiltins.has(name)))
      .map((name) => `${path}: write '${name}' as ${name.startsWith('.') ? 'a file name with .ts' : `node:${name}`}`),
  );
}

function nameViolations(files: Sources): string[] {
  return [...files.keys()].filter((path) => {
    const name = basename(path, '.ts').replace(/\.(test|config)$/, '');
    if (name === 'index') return !indexFiles.includes(path);
    return vagueName.test(name) || !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name);
  });
}

function defaultExports(files: Sources): string[] {
  const pattern = /^\s*export\s+default\b|^\s*export\s*\{[^}]*\bas\s+default\b/m;
  return [...files].filter(([path, text]) => pattern.test(text) && !path.endsWith('.config.ts')).map(([path]) => path);
}

function longFiles(files: Sources): string[] {
  const lengths = [...files].map(([path, text]) => ({ path, lines: text.split('\n').length - 1 }));
  return lengths.filter(({ lines }) => lines > maxLines).map(({ path, lines }) => `${path}: ${lines} lines`);
}

function topLevelViolations(names: readonly string[]): string[] {
  return names.filter((name) => !name.startsWith('.') && !topLevel.includes(name));
}

/** What `text` imports, in any form that names a module by a literal. */
function specifiersOf(text: string): string[] {
  const code = text.replaceAll(/^[ \t]*\/\*[\s\S]*?\*\//gm, '').replaceAll(/^[ \t]*\/\/.*$/gm, '');
  const forms = [
    /^[ \t]*import\s+(?:[\w$*{},\s]+\sfrom\s*)?['"](?<name>[^'"\n]+)['"]/gm,
    /^[ \t]*export\s+(?:type\s+)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\})\s*from\s*['"](?<name>[^'"\n]+)['"]/gm,
    /\b(?:import|require|getBuiltinModule)\(\s*['"](?<name>[^'"\n]+)['"]/g,
  ];
  return forms.flatMap((form) => Array.from(code.matchAll(form), (match) => match.groups?.['name'] ?? ''));
}

function relativeImports(path: string, text: string): string[] {
  const relative = specifiersOf(text).filter((specifier) => specifier.startsWith('.'));
  return relative.map((specifier) => posix.join(posix.dirname(path), specifier));
}

function tierOf(path: string): Tier | undefined {
  return tiers.find((tier) => tier.holds(path));
}

function folder(name: string, mayImport: readonly string[], builtins: Tier['builtins']): Tier {
  return { name, holds: (path) => path.startsWith(`${name}/`), mayImport, builtins };
}

function file(name: string, mayImport: readonly string[], builtins: Tier['builtins']): Tier {
  return { name, holds: (path) => path === name, mayImport, builtins };
}

function readSources(pattern: string): Sources {
  const paths = globSync(pattern, { cwd: root }).filter((path) => !fixtures.test(path) && existsSync(join(root, path)));
  return new Map(paths.toSorted().map((path) => [path, readFileSync(join(root, path), 'utf8')]));
}

function oneFile(path: string, text: string): Sources {
  return new Map([[path, text]]);
}
