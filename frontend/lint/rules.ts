import { quote } from '../go-format.ts';

/** Where a rule comes from and when it is on. */
export type RuleGroup =
  /** BuildKit's, always on. */
  | 'standard'
  /** BuildKit's, on where `experimental=` names it. */
  | 'experimental'
  /** tsbuild's own, on unless BuildKit is to be imitated; never fails a check. */
  | 'notice'
  /** tsbuild's own, on where `experimental=` names it or all own rules are on. */
  | 'own';

interface Rule {
  readonly group: RuleGroup;
  readonly description: string;
  readonly url?: string;
}

const docs = (page: string): string => `https://docs.docker.com/go/dockerfile/rule/${page}/`;
const standard = (page: string, description: string): Rule => ({ group: 'standard', description, url: docs(page) });
const own = (description: string): Rule => ({ group: 'own', description });

/** All lint rules. The names and pages of the standard ones are BuildKit's. */
export const RULES = {
  StageNameCasing: standard('stage-name-casing', 'stage names should be lower case'),
  FromAsCasing: standard('from-as-casing', 'the case of AS should match that of FROM'),
  NoEmptyContinuation: standard('no-empty-continuation', 'empty lines in a continued instruction will become errors'),
  ConsistentInstructionCasing: standard('consistent-instruction-casing', 'all instructions should be of one case'),
  DuplicateStageName: standard('duplicate-stage-name', 'stage names should be unique'),
  ReservedStageName: standard('reserved-stage-name', 'reserved words should not name stages'),
  JSONArgsRecommended: standard('json-args-recommended', 'the exec form passes signals on to the program'),
  MaintainerDeprecated: standard('maintainer-deprecated', 'a label replaces MAINTAINER'),
  UndefinedArgInFrom: standard('undefined-arg-in-from', 'FROM must use declared arguments'),
  InvalidDefaultArgInFrom: standard(
    'invalid-default-arg-in-from',
    'with the defaults of global arguments alone the base is no valid name',
  ),
  UndefinedVar: standard('undefined-var', 'variables should be declared before they are used'),
  WorkdirRelativePath: standard('workdir-relative-path', 'a relative WORKDIR depends on the base image'),
  MultipleInstructionsDisallowed: standard(
    'multiple-instructions-disallowed',
    'only the last instruction of this kind counts',
  ),
  LegacyKeyValueFormat: standard('legacy-key-value-format', 'name and value should be joined by ='),
  InvalidBaseImagePlatform: { group: 'standard', description: 'the base image is of another platform' },
  RedundantTargetPlatform: standard('redundant-target-platform', 'the target platform is the default'),
  FromPlatformFlagConstDisallowed: standard(
    'from-platform-flag-const-disallowed',
    '--platform should not be a constant',
  ),
  SecretsUsedInArgOrEnv: standard('secrets-used-in-arg-or-env', 'secrets should not be in ARG or ENV'),
  CopyIgnoredFile: standard('copy-ignored-file', 'what the ignore file excludes cannot be copied'),
  ExposeProtoCasing: standard('expose-proto-casing', 'protocols should be lower case'),
  ExposeInvalidFormat: standard('expose-invalid-format', 'EXPOSE takes a port and no address'),
  InvalidDefinitionDescription: {
    group: 'experimental',
    description: 'a comment above a stage or argument should describe it',
    url: docs('invalid-definition-description'),
  },
  UnusedBuildArg: { group: 'notice', description: 'a build argument that no ARG declares has no effect' },
  NewerSyntax: { group: 'notice', description: 'the syntax directive names a version that is not known here' },
  HeredocIgnoresErrors: own('only the last command of a heredoc decides whether RUN fails'),
  AptUpdateAlone: own('apt-get update and install belong in one RUN'),
  RemoteWithoutChecksum: own('what is downloaded should be verified'),
  UnpinnedBaseImage: own('a tag that moves makes builds differ'),
  RunCd: own('a directory change ends with its RUN'),
  SecretFileCopied: own('files that look like secrets should not enter the image'),
} as const satisfies Readonly<Record<string, Rule>>;

/** A rule's name. */
export type RuleName = keyof typeof RULES;

/** Whether `name` is a rule. */
export function isRuleName(name: string): name is RuleName {
  return Object.hasOwn(RULES, name);
}

/** The group of a rule. */
export function groupOf(name: RuleName): RuleGroup {
  return RULES[name].group;
}

/** The page that explains a rule. */
export function urlOf(name: RuleName): string | undefined {
  const rule: Rule = RULES[name];
  return rule.url;
}

const meaning = (suggestion: string | undefined, sigil = ''): string =>
  suggestion === undefined ? '' : ` (did you mean ${sigil}${suggestion}?)`;

/** The texts of findings. Those of standard rules are what BuildKit's users know and grep for. */
export const MESSAGES = {
  StageNameCasing: (name: string) => `Stage name '${name}' should be lowercase`,
  FromAsCasing: (from: string, as: string) => `'${as}' and '${from}' keywords' casing do not match`,
  NoEmptyContinuation: () => 'Empty continuation line',
  ConsistentInstructionCasing: (word: string, casing: 'uppercase' | 'lowercase') =>
    `Command '${word}' should match the case of the command majority (${casing})`,
  DuplicateStageName: (name: string) => `Duplicate stage name ${quote(name)}, stage names should be unique`,
  ReservedStageName: (name: string) => `Stage name should not use the same name as reserved stage ${quote(name)}`,
  JSONArgsRecommended: (word: string) =>
    `JSON arguments recommended for ${word} to prevent unintended behavior related to OS signals`,
  MaintainerDeprecated: () => 'Maintainer instruction is deprecated in favor of using label',
  UndefinedArgInFrom: (name: string, near: string | undefined) =>
    `FROM argument '${name}' is not declared${meaning(near)}`,
  InvalidDefaultArgInFrom: (base: string) =>
    `Default value for ARG ${base} results in empty or invalid base image name`,
  UndefinedVar: (name: string, near: string | undefined) =>
    `Usage of undefined variable '$${name}'${meaning(near, '$')}`,
  WorkdirRelativePath: (path: string) =>
    `Relative workdir ${quote(path)} can have unexpected results if the base image changes`,
  MultipleInstructionsDisallowed: (word: string) =>
    `Multiple ${word} instructions should not be used in the same stage because only the last one will be used`,
  LegacyKeyValueFormat: (word: string) =>
    `"${word} key=value" should be used instead of legacy "${word} key value" format`,
  InvalidBaseImagePlatform: (o: { readonly image: string; readonly expected: string; readonly actual: string }) =>
    `Base image ${o.image} was pulled with platform ${quote(o.actual)}, expected ${quote(o.expected)} for current build`,
  RedundantTargetPlatform: (variable: string) =>
    `Setting platform to predefined ${variable} in FROM is redundant as this is the default behavior`,
  FromPlatformFlagConstDisallowed: (platform: string) =>
    `FROM --platform flag should not use constant value ${quote(platform)}`,
  SecretsUsedInArgOrEnv: (keyword: string, name: string) =>
    `Do not use ARG or ENV instructions for sensitive data (${keyword} ${quote(name)})`,
  CopyIgnoredFile: (verb: 'Copy' | 'Add', path: string) =>
    `Attempting to ${verb} file ${quote(path)} that is excluded by .dockerignore`,
  ExposeProtoCasing: (port: string) => `Defined protocol '${port}' in EXPOSE instruction should be lowercase`,
  ExposeInvalidFormat: (port: string) =>
    `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
  InvalidDefinitionDescription: (keyword: string, name: string) =>
    `Comment for ${keyword} should follow the format: \`# ${name} <description>\``,
  UnusedBuildArg: (name: string, near: string | undefined) =>
    `build argument ${quote(name)} is not declared by any ARG${meaning(near)}`,
  NewerSyntax: (version: string) => `version ${version} of the Dockerfile language is newer than what is known here`,
  HeredocIgnoresErrors: () => 'this RUN fails only if the last command of its heredoc fails',
  AptUpdateAlone: () => 'apt-get update without an install in the same RUN is cached and goes stale',
  RemoteWithoutChecksum: (url: string) => `${url} is downloaded without a checksum`,
  UnpinnedBaseImage: (image: string) => `base image ${image} may change from build to build`,
  RunCd: () => 'RUN with cd alone has no effect on what follows',
  SecretFileCopied: (path: string) => `${path} looks like a secret and would become part of the image`,
} as const satisfies Readonly<Record<RuleName, (...facts: never[]) => string>>;
