import { describe, expect, it } from 'vitest';
import { errorsOf, errorOf, parseText } from './support/lowering.ts';

/** Keyword and node of every instruction of the stages. */
function nodes(text: string | Uint8Array): unknown[] {
  const { dockerfile, diagnostics } = parseText(text);
  expect(diagnostics).toEqual([]);
  return dockerfile.stages.flatMap(({ instructions }) => instructions.map(({ command }) => command.node));
}

const shellOf = (text: string): unknown => {
  const [node] = nodes(text);
  return (
    (node as { command: { text?: string; args?: string[] } }).command.text ??
    (node as { command: { args: string[] } }).command.args
  );
};

const escapeOf = (text: string): string => parseText(`${text}\nFROM x`).dockerfile.escape;

describe('lines: continuation', () => {
  const rows: readonly (readonly [string, string, string])[] = [
    ['joins without anything between', 'RUN a \\\nb', 'a b'],
    ['keeps white space of continued lines', 'RUN a\\\n  b', 'a  b'],
    ['allows blanks behind the escape character', 'RUN a \\ \t\nb', 'a b'],
    ['ends at an escaped escape character', 'RUN a \\\\\nRUN b', 'a \\\\'],
    ['takes a lone escape character', 'RUN a\\\n\\\nb', 'ab'],
    ['skips comments', 'RUN a \\\n# no\n  # neither\nb', 'a b'],
    ['skips comments inside a quoted shell string', 'RUN echo "a \\\n# gone\nb"', 'echo "a b"'],
    ['skips empty lines', 'RUN a \\\n\n   \nb', 'a b'],
    ['may end with the file', 'RUN a \\', 'a'],
    ['keeps # that does not begin a line', 'RUN a # b', 'a # b'],
    ['does not apply to comments', '# x \\\nRUN a', 'a'],
    ['knows CRLF', 'RUN a \\\r\nb\r\n', 'a b'],
  ];
  it.each(rows)('lines: %s', (_name, text, expected) => {
    expect(shellOf(`FROM x\n${text}`)).toBe(expected);
  });

  it('lines: the escape directive moves continuation to the backtick', () => {
    expect(shellOf('# escape=`\nFROM x\nRUN dir c:\\ `\n  d:\\')).toBe('dir c:\\   d:\\');
  });

  it('lines: a byte order mark is skipped', () => {
    expect(nodes('\ufeffFROM x\nUSER a')).toEqual([{ user: 'a' }]);
  });

  it('lines: keywords may be of any case and be separated by any blank', () => {
    expect(nodes('from x\nuSeR\t\v a  ')).toEqual([{ user: 'a' }]);
  });

  it('lines: a line of more than 65,535 bytes is refused', () => {
    expect(errorOf(`FROM x\nRUN ${'a'.repeat(65_531)}`)).toBeUndefined();
    expect(errorOf(`FROM x\nRUN ${'a'.repeat(65_532)}`)).toBe('dockerfile line greater than max allowed size of 65535');
  });

  it('lines: a file of more than 1 MiB is refused', () => {
    expect(errorOf(Buffer.alloc(1024 * 1024 + 1, '\n'))).toMatch('larger than');
  });
});

describe('directives', () => {
  it.each([
    ['is read at the top', '# escape=`', '`'],
    ['may be of any case', '#EsCaPe = `  ', '`'],
    ['may follow another directive', '# syntax=docker/dockerfile:1\n# escape=`', '`'],
    ['is a comment behind a comment', '# hello\n# escape=`', '\\'],
    ['is a comment behind an unknown key', '# foo=bar\n# escape=`', '\\'],
    ['is a comment behind an empty line', '\n# escape=`', '\\'],
    ['is a comment behind an instruction', 'ARG a\n# escape=`', '\\'],
  ])('directives: escape %s', (_name, text, expected) => {
    expect(escapeOf(text)).toBe(expected);
  });

  it('directives: a repeated one is an error', () => {
    expect(errorOf('# escape=`\n# escape=`\nFROM x')).toBe('only one escape parser directive can be used');
  });

  it('directives: escape must be a backslash or a backtick', () => {
    expect(errorOf('# escape=x\nFROM x')).toMatch("invalid escape token 'x'");
  });

  it.each([
    'docker/dockerfile',
    'docker/dockerfile:1.7-labs',
    'docker.io/docker/dockerfile-upstream:master',
    'mirror.example:5000/hub/docker/dockerfile:1',
    'dockerfile.v0',
  ])('directives: the frontend %s is the one built in', (reference) => {
    expect(errorOf(`# syntax=${reference}\nFROM scratch\nCOPY . .`)).toBeUndefined();
  });

  it.each([
    '# syntax=example/frontend',
    '#!/usr/bin/env docker\n# syntax=example/frontend',
    '// syntax=example/frontend',
    '{"syntax": "example/frontend"}',
  ])('directives: any other frontend is refused, and nothing else is said: %j', (head) => {
    expect(errorsOf(`${head}\nFROM x\nNONSENSE`).map(({ message }) => message)).toEqual([
      'the frontend example/frontend is not supported',
    ]);
  });
});

describe('instructions: what is refused', () => {
  it.each([
    ['', 'the Dockerfile cannot be empty'],
    ['# only\n\n', 'file with no instructions'],
    ['ARG a', 'dockerfile contains no stages to build'],
    ['RUN a', 'no build stage in current context'],
    ['FROM x\nFRM y', 'unknown instruction: FRM'],
    ['FROM', 'FROM requires either one or three arguments'],
    ['FROM a b', 'FROM requires either one or three arguments'],
    ['FROM a is b', 'FROM requires either one or three arguments'],
    ['FROM a AS 1b', 'invalid name for build stage: "1b", name can\'t start with a number or contain symbols'],
    ['FROM x\nENV', 'ENV requires at least one argument'],
    ['FROM x\nENV a', 'ENV must have two arguments'],
    ['FROM x\nENV a=b c', `syntax error - can't find = in "c". Must be of the form: name=value`],
    ['FROM x\nENV =b', 'ENV names can not be blank'],
    ['FROM x\nLABEL', 'LABEL requires at least one argument'],
    ['FROM x\nARG', 'ARG requires at least one argument'],
    [
      'FROM x\nCOPY a',
      'COPY requires at least two arguments, but only one was provided. Destination could not be determined',
    ],
    ['FROM x\nADD', 'ADD requires at least two arguments. Destination could not be determined'],
    ['FROM x\nCOPY --from=$a b c', `'from' doesn't support variable expansion, define alias stage instead`],
    [
      'FROM x\nRUN --mount=from=$a,target=/x b',
      `'from' doesn't support variable expansion, define alias stage instead`,
    ],
    ['FROM x\nRUN []', 'RUN requires at least one argument'],
    ['FROM x\nRUN ["a", 1]', 'when using JSON array syntax, arrays must be comprised of strings only'],
    ['FROM x\nCMD [["a"]]', 'when using JSON array syntax, arrays must be comprised of strings only'],
    ['FROM x\nSHELL /bin/sh', 'SHELL requires the arguments to be in JSON form'],
    ['FROM x\nSHELL []', 'SHELL requires at least one argument'],
    ['FROM x\nWORKDIR', 'WORKDIR requires exactly one argument'],
    ['FROM x\nUSER', 'USER requires exactly one argument'],
    ['FROM x\nVOLUME', 'VOLUME requires at least one argument'],
    ['FROM x\nVOLUME [""]', 'VOLUME specified can not be an empty string'],
    ['FROM x\nEXPOSE', 'EXPOSE requires at least one argument'],
    ['FROM x\nHEALTHCHECK', 'HEALTHCHECK requires at least one argument'],
    ['FROM x\nHEALTHCHECK CMD', 'missing command after HEALTHCHECK CMD'],
    ['FROM x\nHEALTHCHECK NONE x', 'HEALTHCHECK NONE takes no arguments'],
    ['FROM x\nHEALTHCHECK CMDD x', 'unknown type "CMDD" in HEALTHCHECK (try CMD)'],
    ['FROM x\nHEALTHCHECK --interval=1us CMD x', 'interval "interval" cannot be less than 1ms'],
    ['FROM x\nHEALTHCHECK --interval=1 CMD x', 'invalid duration "1"'],
    ['FROM x\nHEALTHCHECK --retries=-1 CMD x', '--retries cannot be negative (-1)'],
    ['FROM x\nONBUILD', 'ONBUILD requires at least one argument'],
    ['FROM x\nONBUILD ONBUILD RUN a', "chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
    ['FROM x\nONBUILD FROM a', "FROM isn't allowed as an ONBUILD trigger"],
    ['FROM x\nONBUILD maintainer a', "MAINTAINER isn't allowed as an ONBUILD trigger"],
    ['FROM x\nONBUILD FOO a', 'unknown instruction: FOO'],
  ])('instructions: %j is refused', (text, message) => {
    expect(errorOf(text)).toBe(message);
  });

  it('instructions: all flaws are found at once, in order, with their places', () => {
    const found = errorsOf('FROM x\nFRM y\nRUN --netwrok=none a\nUSER\nCMD b');
    expect(
      found.map(({ code, range, help }) => [code, range?.start.line, range?.start.column, range?.end.column, help]),
    ).toEqual([
      ['UnknownInstruction', 2, 1, 4, 'did you mean FROM?'],
      ['UnknownFlag', 3, 5, 19, 'did you mean --network?'],
      ['MissingArgument', 4, 1, 5, undefined],
    ]);
  });

  it('instructions: more than 20,000 are refused', () => {
    expect(errorOf(`FROM x\n${'USER a\n'.repeat(20_000)}`)).toBe('more than 20000 instructions');
  });
});

describe('flags', () => {
  it.each([
    ['COPY --chown=a --chown=b x y', 'duplicate flag specified: chown'],
    ['COPY --chown x y', 'missing a value on flag: chown'],
    ['COPY --link= x y', 'missing a value on flag: link'],
    ['COPY --link=maybe x y', 'expecting boolean value for flag link, not: maybe'],
    ['COPY --chwon=a x y', 'unknown flag: --chwon'],
    ['ENV --x a=b', 'unknown flag: --x'],
    ['ADD --parents a b', 'unknown flag: --parents'],
    ['ADD --from=a b c', 'unknown flag: --from'],
    ['RUN --network=bridge a', 'network "bridge" is not valid'],
    ['RUN --security=none a', 'security "none" is not valid'],
  ])('flags: %s is refused', (text, message) => {
    expect(errorOf(`FROM x\n${text}`)).toBe(message);
  });

  it('flags: end at the first other word or at a bare --', () => {
    expect(shellOf('FROM x\nRUN --network=none a --security=sandbox')).toBe('a --security=sandbox');
    expect(shellOf('FROM x\nRUN --network=none -- --security=sandbox')).toBe('--security=sandbox');
  });

  it('flags: quotes and backslashes act inside them', () => {
    expect(nodes(`FROM x\nCOPY --exclude="a b" --exclude='c d' --exclude=e\\ f --link=TRUE x y`)).toMatchObject([
      { exclude: ['a b', 'c d', 'e f'], link: 'yes' },
    ]);
  });
});

describe('arguments', () => {
  it.each([
    ['RUN ["a", "b c"]', ['a', 'b c']],
    ['RUN  [ "a" ] ', ['a']],
    [`RUN ['a']`, `['a']`],
    ['RUN ["a" "b"]', '["a" "b"]'],
    ['RUN ["a",]', '["a",]'],
    ['RUN [ -f x ]', '[ -f x ]'],
    ['RUN ["a"] && b', '["a"] && b'],
    ['RUN', ''],
  ])('arguments: %s', (text, expected) => {
    expect(shellOf(`FROM x\n${text}`)).toEqual(expected);
  });

  it('arguments: COPY does not group by quotes outside JSON', () => {
    expect(nodes('FROM x\nCOPY "a b" c')).toMatchObject([{ sources: ['"a', 'b"'], dest: 'c' }]);
    expect(nodes('FROM x\nCOPY ["a b", "c"]')).toMatchObject([{ sources: ['a b'], dest: 'c' }]);
  });

  it('arguments: ENV knows two forms', () => {
    expect(nodes(`FROM x\nENV a=b c="d e" f='g h' i=j\\ k l=\nENV m n  o=p`)).toEqual([
      {
        pairs: [
          { name: 'a', value: 'b', separator: '=' },
          { name: 'c', value: '"d e"', separator: '=' },
          { name: 'f', value: "'g h'", separator: '=' },
          { name: 'i', value: 'j\\ k', separator: '=' },
          { name: 'l', value: '', separator: '=' },
        ],
      },
      { pairs: [{ name: 'm', value: 'n  o=p', separator: ' ' }] },
    ]);
  });

  it('arguments: ARG takes several, with and without default', () => {
    expect(nodes('FROM x\nARG a b=c d="e f" g=')).toEqual([
      {
        args: [
          { name: 'a' },
          { name: 'b', defaultValue: 'c' },
          { name: 'd', defaultValue: '"e f"' },
          { name: 'g', defaultValue: '' },
        ],
      },
    ]);
  });
});

describe('comments', () => {
  it('comments: those directly above describe stages and arguments', () => {
    const { dockerfile } = parseText(
      '# V the version\nARG V\n# lost\n\n# first\n# build makes it\nFROM x AS build\n# gone\n#\nFROM y AS z',
    );
    expect(dockerfile.globalArgs[0]?.node.args).toEqual([{ name: 'V', description: 'the version' }]);
    expect(dockerfile.stages.map(({ description }) => description)).toEqual(['makes it', undefined]);
    expect(dockerfile.comments.map(({ text }) => text)).toEqual([
      'V the version',
      'lost',
      'first',
      'build makes it',
      'gone',
    ]);
    expect(dockerfile.stages[1]?.from.comments).toEqual([]);
  });
});
