import { describeDifferences } from './differential-case.ts';

const BUILDAH_HEREDOC = 'buildah 1.28 knows no heredocs';

describeDifferences('lexing and directives', [
  {
    says: 'continuation: blanks after the backslash, comments and empty lines in between, white space kept',
    dockerfile: 'FROM scratch\nLABEL a="x \\  \n   y" \\\n# a comment\n\n  # another\n  b=z \\\n\n  c=w\n',
    expected: { config: { Labels: { a: 'x    y', b: 'z', c: 'w' } } },
  },
  {
    says: 'continuation: an escaped backslash at the end of a line is none',
    dockerfile: 'FROM scratch\nLABEL a=x\\\\\nLABEL b=y\n',
    deviations: ['escaped-escape'],
    expected: { config: { Labels: { a: 'x\\', b: 'y' } } },
  },
  {
    says: 'continuation: at the end of the file is accepted',
    dockerfile: 'FROM scratch\nLABEL a=b \\\n',
    expected: { config: { Labels: { a: 'b' } } },
  },
  {
    says: 'comment: inside a quoted string of a continued RUN is dropped, # elsewhere is text (trap 21)',
    dockerfile: `FROM busybox
RUN echo "one \\
# not printed
two # printed" > /out && \\
    # dropped
    echo end#of >> /out
`,
    expected: { files: { '/out': 'file 644 0:0 "one two # printed\\nend#of\\n"' } },
  },
  {
    says: 'CRLF: line ends are not part of values (trap 23)',
    dockerfile: 'FROM busybox\r\nENV a=b \\\r\n  c=d\r\nRUN echo $a$c \\\r\n > /out\r\nCMD ["x"]\r\n',
    expected: { files: { '/out': 'file 644 0:0 "bd\\n"' }, config: { Cmd: ['x'] } },
  },
  {
    says: 'byte order mark and indented instructions in any case',
    dockerfile: '\ufeffFrom scratch\n   label a=b\n\tLaBeL\tc=d\n  # comment\n\n\n    env   e=f\n',
    expected: { config: { Labels: { a: 'b', c: 'd' } } },
  },
  {
    says: 'escape directive: the backtick continues and escapes, the backslash is text',
    alone: 'buildah takes the directive for continuations only',
    dockerfile: '# escape=`\nFROM scratch\nLABEL a=c:\\dir\\ `\n  b="x`"y" c=d` e\n',
    expected: { config: { Labels: { a: 'c:\\dir\\', b: 'x"y', c: 'd e' } } },
  },
  {
    says: 'directives: syntax and check, keys in any case; one after a comment is none',
    dockerfile:
      '# SYNTAX = docker/dockerfile:1\n# check=skip=all\n# comment\n# escape=`\nFROM scratch\nLABEL a=b\\ c\n',
    expected: { config: { Labels: { a: 'b c' } } },
  },
  {
    says: 'JSON forms: white space, escapes and unicode',
    dockerfile: 'FROM scratch\nENTRYPOINT   [ "a b" , "c\\"d" ,"\\u00e9" , "tab\\t" ]  \nCMD []\n',
    expected: { config: { Entrypoint: ['a b', 'c"d', 'é', 'tab\t'] } },
  },
  {
    says: 'JSON forms: what is nearly JSON is shell text (trap 22)',
    dockerfile: 'FROM scratch\nENTRYPOINT [\'a\', \'b\']\nCMD ["a" "b"]\n',
    expected: { config: { Entrypoint: ['/bin/sh', '-c', "['a', 'b']"], Cmd: ['/bin/sh', '-c', '["a" "b"]'] } },
  },
  {
    says: 'JSON forms: elements must be strings',
    dockerfile: 'FROM scratch\nCMD ["a", 1]\n',
    fails: /arrays must be comprised of strings only/,
  },
  {
    says: 'words: quotes, escapes and empty values in LABEL and ENV',
    dockerfile:
      'FROM scratch\nLABEL "a b"=c d=\'e $f\' g=h\\ i j="k\\"l" m= n="" o=\'\' p=a\'b\'"c"\nENV q="r s" t=u\\$v w=\'x\\y\'\n',
    expected: {
      config: {
        Labels: { 'a b': 'c', d: 'e $f', g: 'h i', j: 'k"l', m: '', n: '', o: '', p: 'abc' },
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'q=r s', 't=u$v', 'w=x\\y'],
      },
    },
  },
  {
    says: 'legacy form: ENV and LABEL without = take the rest of the line',
    dockerfile: 'FROM busybox\nENV a  b  c=d "e"\nLABEL k  some "quoted"   text\n',
    expected: { config: { Labels: { k: 'some quoted   text' } } },
  },
  {
    says: 'words: every one after the first needs its =',
    dockerfile: 'FROM scratch\nENV a=b c\n',
    fails: /can't find = in "c"/,
  },
  { says: 'an unknown instruction is refused', dockerfile: 'FROM scratch\nCOPPY a b\n', fails: /COPY/ },
  { says: 'a file of comments only is refused', dockerfile: '# nothing\n\n# here\n', fails: /no instructions|empty/ },
  {
    says: 'an instruction before FROM is refused',
    alone: 'buildah takes it',
    dockerfile: 'LABEL a=b\nFROM scratch\n',
    fails: /no build stage/,
  },
  {
    says: 'a line of more than 65,535 bytes is refused (trap 36)',
    dockerfile: `FROM scratch\nLABEL a=${'x'.repeat(65_530)}\n`,
    alone: 'buildah has no such limit',
    fails: /65535/,
  },
  {
    says: 'a long instruction of many lines is taken (trap 36)',
    dockerfile: `FROM scratch\nLABEL ${Array.from({ length: 3000 }, (_, at) => `k${at}="${'v'.repeat(40)}"`).join(' \\\n ')}\n`,
  },
  {
    says: 'flags: an unknown one, one twice and one without value are refused',
    dockerfile: 'FROM scratch\nCOPY --chwon=1 a b\nCOPY --from=a --from=b x y\nCOPY --chown x y\n',
    fails: /--chwon[\s\S]*--from[\s\S]*--chown/,
  },
]);

describeDifferences('heredocs', [
  {
    says: 'RUN: a shell script, whose last status counts',
    alone: BUILDAH_HEREDOC,
    dockerfile:
      'FROM busybox\nARG who=you\nRUN <<EOF\nfalse\necho "hello $who" > /out\n\n# comment \\\ncat /out >> /out2\nEOF\n',
    expected: { files: { '/out': 'file 644 0:0 "hello you\\n"', '/out2': 'file 644 0:0 "hello you\\n"' } },
  },
  {
    says: 'RUN: #! runs the body as a program',
    alone: BUILDAH_HEREDOC,
    dockerfile:
      'FROM busybox\nRUN <<EOF\n#!/bin/awk -f\nBEGIN { print "from awk" > "/out" }\nEOF\nRUN ls /dev/pipes > /dev/null 2>&1 && exit 1 || true\n',
    expected: { files: { '/out': 'file 644 0:0 "from awk\\n"' } },
  },
  {
    says: 'RUN: bodies beside a command go to the shell, several in order',
    alone: BUILDAH_HEREDOC,
    dockerfile: 'FROM busybox\nRUN cat <<A > /a && cat <<-"B" > /b\n$HOME\nA\n\t$HOME\n\tB\n',
    expected: { files: { '/a': 'file 644 0:0 "/root\\n"', '/b': 'file 644 0:0 "$HOME\\n"' } },
  },
  {
    says: 'RUN: in the shell that SHELL names',
    alone: BUILDAH_HEREDOC,
    dockerfile:
      'FROM busybox\nSHELL ["/bin/sh", "-euc"]\nRUN <<EOF\necho $- | grep -q e && echo strict > /out\nEOF\nRUN <<EOF || echo no command > /out2\nfalse\nEOF\n',
    expected: { files: { '/out': 'file 644 0:0 "strict\\n"', '/out2': null } },
  },
  {
    says: 'COPY: files with expanded and literal bodies, into a directory and to a name (trap 23)',
    alone: BUILDAH_HEREDOC,
    dockerfile:
      'FROM scratch\nARG v=value\nCOPY <<one <<"two" <<-three /d/\n$v ${v%ue} \\$v \'$v\' "q"\none\n$v\ntwo\n\t\ttabs $v\n\tthree\nCOPY <<EOF /named\nEOF\nCOPY --chmod=755 --chown=1:2 <<x /e/f\nlast\nx\n',
    expected: {
      files: {
        '/d': 'directory 755 0:0',
        '/d/one': `file 644 0:0 ${JSON.stringify('value val $v \'value\' "q"\n')}`,
        '/d/two': 'file 644 0:0 "$v\\n"',
        '/d/three': 'file 644 0:0 "tabs value\\n"',
        '/named': 'file 644 0:0 ""',
        '/e/f': 'file 755 1:2 "last\\n"',
        '/e': 'directory 755 1:2',
      },
    },
  },
  {
    says: 'COPY: CRLF in a body is kept',
    alone: BUILDAH_HEREDOC,
    dockerfile: 'FROM scratch\r\nCOPY <<EOF /f\r\na\r\n\r\nb\r\nEOF\r\nCOPY <<-EOF /g\r\n\tc\r\n\tEOF\r\n',
    expected: { files: { '/f': 'file 644 0:0 "a\\r\\n\\r\\nb\\r\\n"', '/g': 'file 644 0:0 "c\\r\\n"' } },
  },
  {
    says: 'COPY: beside files of the context, and ADD alike',
    alone: BUILDAH_HEREDOC,
    context: { a: 'from context\n' },
    dockerfile: 'FROM scratch\nCOPY a <<b /d/\ntext\nb\nADD <<c /d/\nhttp://example.invalid/\nc\n',
    expected: {
      files: {
        '/d/a': 'file 644 0:0 "from context\\n"',
        '/d/b': 'file 644 0:0 "text\\n"',
        '/d/c': 'file 644 0:0 "http://example.invalid/\\n"',
      },
    },
  },
  {
    says: 'an unterminated one and a heredoc as destination are refused',
    alone: BUILDAH_HEREDOC,
    dockerfile: 'FROM scratch\nCOPY a <<EOF\nEOF\nCOPY <<EOF /x\nno end\n',
    fails: /unterminated heredoc/,
  },
]);
