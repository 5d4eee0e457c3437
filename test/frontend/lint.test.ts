import { describe, expect, it } from 'vitest';
import { lower } from '../../frontend/lower.ts';
import { checkOutcome } from '../../frontend/lint/check-outcome.ts';
import { RULES, groupOf, isRuleName } from '../../frontend/lint/rules.ts';
import { complete, parseText, warningsOf } from './support/lowering.ts';
import { ARM64, requestOf } from './support/request.ts';
import { applyEdits } from './support/edits.ts';

/** Rule, and where it was found. */
const found = (text: string, o = {}): unknown =>
  complete(text, o).diagnostics.map(({ code, range }) => [
    code,
    range?.start.line,
    range?.start.column,
    range?.end.column,
  ]);

const FLAWED = 'FROM x AS Build\nCMD a';

const outcome = (head: string, buildArgs = new Map<string, string>()): unknown => {
  const { dockerfile } = parseText(`${head}${FLAWED}`);
  return checkOutcome(complete(`${head}${FLAWED}`, { buildArgs }).diagnostics, dockerfile, buildArgs);
};

const own = (text: string): readonly string[] => complete(text, { ownRules: 'on' }).diagnostics.map(({ code }) => code);

describe('lint: each rule where it applies', () => {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ['FROM x AS Build', ["StageNameCasing: Stage name 'Build' should be lowercase"]],
    ['FROM x as b', ["FromAsCasing: 'as' and 'FROM' keywords' casing do not match"]],
    ['from x AS b', ["FromAsCasing: 'AS' and 'from' keywords' casing do not match"]],
    ['from x as b', []],
    ['FROM x\nRUN a \\\n\n  b', ['NoEmptyContinuation: Empty continuation line']],
    [
      'FROM x\nrun a',
      ["ConsistentInstructionCasing: Command 'run' should match the case of the command majority (uppercase)"],
    ],
    [
      'from x\nrun a\nUSER b',
      ["ConsistentInstructionCasing: Command 'USER' should match the case of the command majority (lowercase)"],
    ],
    [
      'FROM x\nRun a',
      ["ConsistentInstructionCasing: Command 'Run' should match the case of the command majority (uppercase)"],
    ],
    [
      'FROM x AS a\nFROM y AS a\nFROM a',
      ['DuplicateStageName: Duplicate stage name "a", stage names should be unique'],
    ],
    ['FROM x AS scratch', ['ReservedStageName: Stage name should not use the same name as reserved stage "scratch"']],
    ['FROM x AS context', ['ReservedStageName: Stage name should not use the same name as reserved stage "context"']],
    [
      'FROM x\nCMD a',
      ['JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals'],
    ],
    [
      'FROM x\nENTRYPOINT a',
      [
        'JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals',
      ],
    ],
    ['FROM x\nSHELL ["a"]\nCMD b\nENTRYPOINT c', []],
    ['FROM x\nRUN a\nHEALTHCHECK CMD b', []],
    ['FROM x\nMAINTAINER a', ['MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label']],
    [
      'ARG VERSION=1\nFROM x:${VERSIN:-2}',
      ["UndefinedArgInFrom: FROM argument 'VERSIN' is not declared (did you mean VERSION?)"],
    ],
    ['ARG E\nFROM x$E', []],
    [
      'FROM --platform=${BUILDPLATFRM:-linux/amd64} x',
      ["UndefinedArgInFrom: FROM argument 'BUILDPLATFRM' is not declared (did you mean BUILDPLATFORM?)"],
    ],
    [
      'FROM x\nENV VERSION=1\nLABEL a=$VERSIONS',
      ["UndefinedVar: Usage of undefined variable '$VERSIONS' (did you mean $VERSION?)"],
    ],
    ['FROM x\nARG V\nLABEL a=$V b=$Q c=${Q:-d}', ["UndefinedVar: Usage of undefined variable '$Q'"]],
    ['FROM x\nRUN $Q', []],
    [
      'FROM x\nWORKDIR a\nWORKDIR b',
      ['WorkdirRelativePath: Relative workdir "a" can have unexpected results if the base image changes'],
    ],
    ['FROM x AS a\nWORKDIR /a\nFROM a\nWORKDIR b', []],
    [
      'FROM x\nCMD ["a"]\nCMD ["b"]',
      [
        'MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used',
      ],
    ],
    ['FROM x AS a\nENTRYPOINT ["a"]\nFROM a\nENTRYPOINT ["b"]', []],
    [
      'FROM x\nENV a b',
      ['LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format'],
    ],
    [
      'FROM --platform=$TARGETPLATFORM x',
      [
        'RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
      ],
    ],
    ['FROM --platform=$BUILDPLATFORM x', []],
    [
      'FROM --platform=linux/amd64 x AS b',
      ['FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/amd64"'],
    ],
    ['FROM --platform=linux/amd64 x AS b-amd64', []],
    [
      'FROM x\nENV API_KEY=1',
      ['SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "API_KEY")'],
    ],
    [
      'FROM x\nARG githubToken token',
      ['SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "token")'],
    ],
    ['FROM x\nARG PUBLIC_KEY KEY_FILE TOKEN_VERSION monkey', []],
    [
      'FROM x\nEXPOSE 80/TCP',
      ["ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase"],
    ],
    [
      'FROM x\nEXPOSE 127.0.0.1:80:80',
      [
        "ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
      ],
    ],
    [
      '# check=experimental=all\n\n# wrong\nFROM x AS b',
      ['InvalidDefinitionDescription: Comment for FROM should follow the format: `# b <description>`'],
    ],
    [
      '# check=experimental=InvalidDefinitionDescription\n\n# b right\nFROM x AS b\n# wrong\nARG c d',
      ['InvalidDefinitionDescription: Comment for ARG should follow the format: `# <arg_key> <description>`'],
    ],
    ['# wrong\nFROM x AS b', []],
  ];
  it.each(rows)('lint: %j', (text, expected) => {
    expect(warningsOf(text)).toEqual(expected);
  });

  it('lint: InvalidDefaultArgInFrom looks at the defaults alone', () => {
    expect(warningsOf('ARG B\nFROM x:$B', { buildArgs: new Map([['B', '1']]) })).toEqual([
      'InvalidDefaultArgInFrom: Default value for ARG x:$B results in empty or invalid base image name',
    ]);
    expect(warningsOf('ARG B=1\nFROM x:$B', { buildArgs: new Map([['B', '2']]) })).toEqual([]);
  });

  it('lint: InvalidBaseImagePlatform and CopyIgnoredFile are tested with stages and copy', () => {
    const covered = ['InvalidBaseImagePlatform', 'CopyIgnoredFile', 'InvalidDefaultArgInFrom'];
    const named = new Set([
      ...rows.flatMap(([, expected]) => expected.map((message) => message.split(':')[0] ?? '')),
      ...covered,
    ]);
    const standard = Object.keys(RULES).filter(
      (name) => isRuleName(name) && ['standard', 'experimental'].includes(groupOf(name)),
    );
    expect(standard).toHaveLength(22);
    expect(standard.filter((name) => !named.has(name))).toEqual([]);
  });
});

describe('lint: places', () => {
  it('lint: findings name the words they are about', () => {
    expect(found('FROM x as Build\nENV A=1 \\\n  B=$nope \\\n  SECRET=1\nEXPOSE 1 2/UDP')).toEqual([
      ['FromAsCasing', 1, 8, 10],
      ['StageNameCasing', 1, 11, 16],
      ['UndefinedVar', 3, 5, 10],
      ['SecretsUsedInArgOrEnv', 4, 3, 11],
      ['ExposeProtoCasing', 5, 10, 15],
    ]);
  });

  it('lint: the instruction that is void is named, not the one that counts', () => {
    expect(found('FROM x\nCMD ["a"]\nCMD ["b"]')).toEqual([['MultipleInstructionsDisallowed', 2, 1, 10]]);
  });

  it('lint: a stage used twice is reported once', () => {
    expect(found('FROM x AS a\nCMD a\nFROM a AS b\nRUN b\nFROM a\nCOPY --from=b / /')).toHaveLength(1);
  });

  it('lint: what triggers do is reported at FROM', () => {
    const { diagnostics } = complete('FROM x', {}, { x: { config: { OnBuild: ['CMD a'] } } });
    expect(diagnostics).toMatchObject([{ code: 'JSONArgsRecommended', range: { start: { line: 1, column: 1 } } }]);
  });
});

describe('lint: mending', () => {
  it.each([
    ['FROM x AS Build', 'FROM x AS build'],
    ['FROM x as b', 'FROM x AS b'],
    ['from x\nRUN a\nuser b', 'from x\nrun a\nuser b'],
    ['FROM x\nRUN a \\\n\n\n  b', 'FROM x\nRUN a \\\n  b'],
    ['FROM x\nENV a b', 'FROM x\nENV a=b'],
    ['FROM x\nLABEL a b "c" \\d', 'FROM x\nLABEL a="b \\"c\\" \\\\d"'],
    ['FROM x\nMAINTAINER me', 'FROM x\nLABEL org.opencontainers.image.authors="me"'],
  ])('lint: %j becomes %j', (before, after) => {
    const { diagnostics } = complete(before);
    expect(applyEdits(before, diagnostics)).toBe(after);
    expect(complete(after).diagnostics).toEqual([]);
  });
});

describe('lint: switches', () => {
  it.each([
    ['skip=all', []],
    ['skip=StageNameCasing', ['JSONArgsRecommended']],
    ['skip=StageNameCasing, JSONArgsRecommended;error=true', []],
    ['error=true', ['StageNameCasing', 'JSONArgsRecommended']],
  ])('lint: # check=%s', (options, expected) => {
    expect(complete(`# check=${options}\n${FLAWED}`).diagnostics.map(({ code }) => code)).toEqual(expected);
    expect(
      complete(FLAWED, { buildArgs: new Map([['BUILDKIT_DOCKERFILE_CHECK', options]]) }).diagnostics.map(
        ({ code }) => code,
      ),
    ).toEqual(expected);
  });

  it('lint: a comment above an instruction switches rules off for it alone', () => {
    expect(found('FROM x AS a\n# check=skip=JSONArgsRecommended because\nCMD a\nFROM a\nCMD b')).toEqual([
      ['JSONArgsRecommended', 5, 1, 6],
    ]);
    expect(found('# syntax=docker/dockerfile:1\n\n# check=skip=all\nFROM x AS A')).toEqual([]);
  });

  it.each(['nonsense', 'skp=all', 'error=perhaps'])('lint: # check=%s is refused', (options) => {
    expect(lower(parseText(`# check=${options}\nFROM scratch`).dockerfile, requestOf())).toMatchObject({
      kind: 'invalid',
      diagnostics: [{ code: 'InvalidCheck' }],
    });
  });

  it('lint: error=true makes violations an outcome', () => {
    expect(outcome('')).toEqual({ kind: 'passed' });
    expect(outcome('# check=error=true\n')).toEqual({
      kind: 'violations',
      rules: ['StageNameCasing', 'JSONArgsRecommended'],
    });
    expect(outcome('# check=error=true\n', new Map([['BUILDKIT_DOCKERFILE_CHECK', 'skip=all;error=true']]))).toEqual({
      kind: 'passed',
    });
    expect(outcome('# check=error=true;skip=all\n', new Map([['UNUSED', '1']]))).toEqual({ kind: 'passed' });
  });
});

describe('lint: own rules', () => {
  it.each([
    ['FROM x:1\nRUN <<E\na\nb\nE', ['HeredocIgnoresErrors']],
    ['FROM x:1\nRUN <<E\nset -eu\na\nb\nE', []],
    ['FROM x:1\nRUN <<E\na\nE', []],
    ['FROM x:1\nRUN apt-get -y update', ['AptUpdateAlone']],
    ['FROM x:1\nRUN apt-get update && apt-get install -y a', []],
    ['FROM x:1\nADD https://h/a /b', ['RemoteWithoutChecksum']],
    ['FROM x', ['UnpinnedBaseImage']],
    ['FROM x:latest', ['UnpinnedBaseImage']],
    ['FROM x:1 AS a\nFROM a', []],
    ['FROM x:1\nRUN cd /a', ['RunCd']],
    ['FROM x:1\nCOPY .env id_rsa /a/', ['SecretFileCopied', 'SecretFileCopied']],
    ['FROM x:1\nCOPY --from=y:1 .env /a', []],
  ])('lint: %j', (text, expected) => {
    expect(own(text)).toEqual(expected);
  });

  it('lint: they are off unless asked for', () => {
    expect(complete('FROM x').diagnostics).toEqual([]);
    expect(complete('# check=experimental=UnpinnedBaseImage\nFROM x').diagnostics).toHaveLength(1);
    expect(complete('# check=experimental=all\nFROM x').diagnostics).toEqual([]);
  });

  it('lint: a syntax newer than known is reported', () => {
    expect(
      warningsOf(
        '# syntax=docker/dockerfile:1.99\nFROM x',
        { platform: ARM64, buildPlatform: ARM64 },
        { x: { platform: ARM64 } },
      ),
    ).toEqual(['NewerSyntax: version 1.99 of the Dockerfile language is newer than what is known here']);
  });
});
