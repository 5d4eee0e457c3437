import type { Dockerfile } from './ast.ts';
import { argNodeOf } from './instructions/arg.ts';
import { allInstructions } from './lint/syntax-rules.ts';

const PROXIES = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'all_proxy'];
/** Arguments that mean something without an ARG. */
const PREDECLARED =
  /^(?:BUILDKIT_\w+|SOURCE_DATE_EPOCH|(?:BUILD|TARGET)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT)|TARGETSTAGE)$/;

/** The proxies among the build arguments, as each program may look for them: in upper and in lower case. */
export function proxyEnv(buildArgs: ReadonlyMap<string, string>): readonly string[] {
  const given = new Map(Array.from(buildArgs, ([name, value]) => [name.toLowerCase(), value]));
  return PROXIES.flatMap((name) => {
    const value = given.get(name);
    return value === undefined ? [] : [`${name.toUpperCase()}=${value}`, `${name}=${value}`];
  });
}

/** The build arguments that nothing in the file declares. */
export function unusedBuildArgs(dockerfile: Dockerfile, buildArgs: ReadonlyMap<string, string>): readonly string[] {
  const declared = declaredArgs(dockerfile);
  return [...buildArgs.keys()].filter(
    (name) => !declared.has(name) && !PREDECLARED.test(name) && !PROXIES.includes(name.toLowerCase()),
  );
}

/** The names that ARGs of the file declare, in any stage. */
export function declaredArgs(dockerfile: Dockerfile): ReadonlySet<string> {
  const names = new Set<string>();
  for (const instruction of allInstructions(dockerfile))
    for (const { name } of argNodeOf(instruction)?.args ?? []) names.add(name);
  return names;
}
