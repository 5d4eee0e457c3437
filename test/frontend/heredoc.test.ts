import { describe, expect, it } from 'vitest';
import { parseHeredocOperator } from '../../frontend/syntax/heredoc.ts';
import { complete, errorsOf, errorOf, execs, fileOps, historyOf, parseText, stepNames } from './support/lowering.ts';

const argsOf = (text: string): readonly string[] | undefined => execs(complete(text))[0]?.args;
const written = (text: string, o = {}): unknown =>
  fileOps(complete(text, o)).flatMap(({ actions }) =>
    actions.map((action) =>
      action.type === 'write' ? [action.name, Buffer.from(action.data).toString()] : action.type,
    ),
  );

describe('heredoc: operators', () => {
  it.each([
    ['<<EOF', 'EOF', 'yes', 'none'],
    ['<<-EOF', 'EOF', 'yes', 'tabs'],
    ['3<<EOF', 'EOF', 'yes', 'none'],
    ['<<"EOF"', 'EOF', 'no', 'none'],
    ["<<'EOF'", 'EOF', 'no', 'none'],
    ['<<E"O"F', 'EOF', 'no', 'none'],
    ['<<"a b"', 'a b', 'no', 'none'],
    ['<< EOF', 'EOF', 'yes', 'none'],
  ])('heredoc: %s opens one', (word, name, expand, chomp) => {
    expect(parseHeredocOperator(word)).toEqual({ name, expand, chomp });
  });

  it.each(['<<', '<<-', '<EOF', '<<<EOF', 'x<<EOF', '"<<EOF"', '<<a b'])('heredoc: %s opens none', (word) => {
    expect(parseHeredocOperator(word)).toBeUndefined();
  });
});

describe('heredoc: RUN', () => {
  it('heredoc: a lone one is the script of the shell', () => {
    const result = complete('FROM x\nSHELL ["/bin/bash", "-c"]\nRUN <<EOF\n# kept\necho $HOME \\\n  b\n\nEOF\nUSER a');
    expect(execs(result)[0]?.args).toEqual(['/bin/bash', '-c', '# kept\necho $HOME \\\n  b\n\n']);
    expect(historyOf(result)[1]).toBe('RUN /bin/bash -c # kept\necho $HOME \\\n  b\n\n # buildkit');
    expect(result.draft.config.config.User).toBe('a');
  });

  it('heredoc: with a #! line it is a program of its own', () => {
    const result = complete('FROM x\nRUN <<script\n#!/usr/bin/env python3\nprint(1)\nscript');
    const [exec] = execs(result);
    expect(exec?.args).toEqual(['/bin/sh', '-c', '/dev/pipes/script']);
    expect(exec?.mounts).toEqual([
      {
        type: 'file',
        target: '/dev/pipes/script',
        data: Buffer.from('#!/usr/bin/env python3\nprint(1)\n'),
        mode: 0o755,
      },
    ]);
    expect(stepNames(result)[1]).toBe('[2/2] RUN <<script (#!/usr/bin/env python3...)');
  });

  it('heredoc: with other text the shell gets it all', () => {
    expect(argsOf('FROM x\nRUN cat <<A 3<<-B\na\nA\n\tb\n\tB')).toEqual([
      '/bin/sh',
      '-c',
      'cat <<A 3<<-B\na\nA\n\tb\nB',
    ]);
  });

  it('heredoc: <<- takes leading tabs away', () => {
    expect(argsOf('FROM x\nRUN <<-E\n\t\ta\n\t b\n\tE')).toEqual(['/bin/sh', '-c', 'a\n b\n']);
  });

  it('heredoc: bodies keep their carriage returns', () => {
    expect(argsOf('FROM x\r\nRUN <<E\r\na\r\nE\r\n')).toEqual(['/bin/sh', '-c', 'a\r\n']);
  });

  it('heredoc: none in the JSON form, in quotes, or of other instructions', () => {
    expect(argsOf('FROM x\nRUN ["<<E"]')).toEqual(['<<E']);
    expect(argsOf('FROM x\nRUN echo "<<E"')).toEqual(['/bin/sh', '-c', 'echo "<<E"']);
    expect(complete('FROM x\nCMD <<E').draft.config.config.Cmd).toEqual(['/bin/sh', '-c', '<<E']);
  });

  it('heredoc: an operator may stand on a continued line', () => {
    expect(argsOf('FROM x\nRUN cat \\\n  <<E\nbody\nE')).toEqual(['/bin/sh', '-c', 'cat   <<E\nbody\nE']);
  });
});

describe('heredoc: COPY and ADD', () => {
  it('heredoc: variables are replaced unless the delimiter was quoted; quotes stay', () => {
    expect(written('FROM scratch\nENV v="1 2"\nCOPY <<a <<"b" /x/\n$v "${v}" \\$v \'$v\'\na\n$v\nb')).toEqual([
      ['a', `1 2 "1 2" $v '1 2'\n`],
      ['b', '$v\n'],
    ]);
  });

  it('heredoc: the escape character in bodies is always the backslash', () => {
    expect(written('# escape=`\nFROM scratch\nENV v=1\nCOPY <<a /x\n`$v \\$v\na')).toEqual([['a', '`1 $v\n']]);
  });

  it('heredoc: bytes that are no text stay as they are', () => {
    const body = Buffer.from([0xff, 0x00, 0xfe, 0x0a]);
    const { dockerfile } = parseText(
      Buffer.concat([Buffer.from('FROM scratch\nCOPY <<"a" /x\n'), body, Buffer.from('a\n')]),
    );
    expect(Buffer.from(dockerfile.stages[0]?.instructions[0]?.heredocs[0]?.body ?? [])).toEqual(body);
  });

  it('heredoc: --chmod and --chown apply, files come first', () => {
    const [op] = fileOps(complete('FROM scratch\nADD --chmod=600 --chown=1:2 a <<b /x/\nc\nb'));
    expect(op?.actions).toMatchObject([
      { type: 'copy', sources: ['/a'], mode: 0o600, owner: { user: '1', group: '2' } },
      { type: 'write', name: 'b', dest: '/x/', mode: 0o600, owner: { user: '1', group: '2' } },
    ]);
  });

  it('heredoc: cannot be a destination, must be a file name, and must end', () => {
    expect(errorOf('FROM scratch\nCOPY a <<b\nb')).toBe('COPY cannot accept a heredoc as a destination');
    expect(errorOf('FROM scratch\nCOPY <<a/b c\na/b')).toBe('heredoc name "a/b" is no file name');
    expect(errorsOf('FROM scratch\nCOPY <<a b\nc\n a')).toMatchObject([
      {
        code: 'UnterminatedHeredoc',
        message: 'unterminated heredoc: no line is just a',
        range: { start: { line: 2, column: 6 } },
      },
    ]);
  });

  it('heredoc: several of one name keep their order', () => {
    expect(written('FROM scratch\nCOPY <<a <<b /x/\nb\na\na\nb')).toEqual([
      ['a', 'b\n'],
      ['b', 'a\n'],
    ]);
  });
});
