import { formatPlatform, formatPlatformFull, normalizePlatform, type Platform } from '../src/oci/platform.ts';
import type { Dockerfile, GlobalArg } from './ast.ts';
import { expand, type ExpandOptions } from './expand.ts';
import type { LowerRequest } from './lower-request.ts';
import { PersistentMap } from './persistent.ts';

/** What FROM lines can use. */
export interface GlobalScope {
  readonly variables: PersistentMap<string>;
  /** All names declared or automatic, those without value included. */
  readonly declared: ReadonlySet<string>;
}

/**
 * The automatic platform arguments and the global ARGs, later ones seeing earlier ones.
 * `failed` is told of an ARG that cannot be expanded, which is then left out.
 */
export function globalScope(
  dockerfile: Dockerfile,
  request: LowerRequest,
  o: {
    readonly options: ExpandOptions;
    readonly buildArgs: ReadonlyMap<string, string>;
    readonly failed: (arg: GlobalArg, error: unknown) => void;
  },
): GlobalScope {
  let variables = automaticArgs(dockerfile, request);
  const declared = new Set(Array.from(variables.entries(), ([name]) => name));
  for (const arg of dockerfile.globalArgs) {
    for (const { name, defaultValue } of arg.node.args) {
      declared.add(name);
      try {
        const lookup = (wanted: string): string | undefined => variables.lookup(wanted);
        const value =
          o.buildArgs.get(name) ??
          (defaultValue === undefined ? undefined : expand(defaultValue, lookup, o.options).text);
        if (value !== undefined) variables = variables.with(name, value);
      } catch (error) {
        o.failed(arg, error);
      }
    }
  }
  return { variables, declared };
}

function automaticArgs(dockerfile: Dockerfile, request: LowerRequest): PersistentMap<string> {
  const { buildArgs } = request;
  const buildPlatform = normalizePlatform(request.buildPlatform);
  const platform = normalizePlatform(request.platform);
  const stage = request.target ?? dockerfile.stages.at(-1)?.name ?? '';
  const values: readonly (readonly [string, string])[] = [
    ['BUILDPLATFORM', formatPlatform(buildPlatform)],
    ...platformParts('BUILD', buildPlatform),
    ['TARGETPLATFORM', formatPlatformFull(platform)],
    ...platformParts('TARGET', platform),
    ['TARGETSTAGE', stage === '' ? 'default' : stage],
  ];
  return PersistentMap.of(values.map(([name, value]) => [name, buildArgs.get(name) ?? value] as const));
}

function platformParts(prefix: 'BUILD' | 'TARGET', platform: Platform): readonly (readonly [string, string])[] {
  return [
    [`${prefix}OS`, platform.os],
    [`${prefix}OSVERSION`, platform['os.version'] ?? ''],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ''],
  ];
}
