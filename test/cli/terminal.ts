import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A real terminal (tmux), in which one program runs. */
export interface Terminal extends AsyncDisposable {
  /** A directory that goes away with the terminal. */
  readonly directory: string;
  /** Starts the program; its screen stays when it ends. */
  readonly start: (argv: readonly string[]) => Promise<void>;
  readonly resize: (columns: number, rows: number) => Promise<void>;
  /** `C-c`, `Enter`, … */
  readonly press: (key: string) => Promise<void>;
  /** What is visible, and with `all` what was scrolled away before it, without trailing blanks, once `isReady` says so. */
  readonly screen: (isReady: (text: string) => boolean, part?: 'all' | 'visible') => Promise<string>;
  /** The program's exit status, once it has ended. */
  readonly status: () => Promise<number>;
}

/** Opens a terminal of that size with a tmux server of its own. */
export async function openTerminal({ columns, rows }: { columns: number; rows: number }): Promise<Terminal> {
  const directory = await mkdtemp(join(tmpdir(), 'tsbuild-terminal-'));
  const statusFile = join(directory, 'status');
  const tmux = async (...argv: readonly string[]): Promise<string> => {
    const { stdout } = await run('tmux', ['-S', join(directory, 'tmux'), '-f', '/dev/null', ...argv]);
    return stdout;
  };
  const until = async <T>(ask: () => Promise<T | undefined>): Promise<T> => {
    for (const deadlineMs = performance.now() + 20_000; performance.now() < deadlineMs;) {
      const answer = await ask();
      if (answer !== undefined) return answer;
    }
    throw new Error(
      `the terminal never showed what was waited for; it shows:\n${await tmux('capture-pane', '-p', '-S', '-')}`,
    );
  };
  return {
    directory,
    start: async (argv) => {
      const command = argv.map((part) => `'${part.replaceAll("'", String.raw`'\''`)}'`).join(' ');
      const size = ['-x', String(columns), '-y', String(rows)];
      // The pane waits, so that options are set before the program can end.
      await tmux('new-session', '-d', ...size, 'cat');
      await tmux('set-option', '-g', 'remain-on-exit', 'on', ';', 'set-option', '-g', 'status', 'off');
      // Ctrl-C is for the program: a shell such as dash would end with it, before it has told the status.
      await tmux(
        'respawn-pane',
        '-k',
        `trap : INT; env -u CI -u NO_COLOR LANG=C.UTF-8 ${command}; echo $? > '${statusFile}'`,
      );
    },
    resize: async (width, height) => {
      await tmux('resize-window', '-x', String(width), '-y', String(height));
    },
    press: async (key) => {
      await tmux('send-keys', key);
    },
    screen: (isReady, part = 'all') =>
      until(async () => {
        const text = (await tmux('capture-pane', '-p', ...(part === 'all' ? ['-S', '-'] : [])))
          .split('\n')
          .map((line) => line.trimEnd())
          .join('\n')
          .trimEnd();
        return isReady(text) ? text : undefined;
      }),
    status: () =>
      until(async () => {
        // tmux itself sometimes never learns the status of a program whose terminal is closed first.
        const text = existsSync(statusFile) ? await readFile(statusFile, 'utf8') : '';
        return text.endsWith('\n') ? Number(text) : undefined;
      }),
    [Symbol.asyncDispose]: async () => {
      await tmux('kill-server');
      await rm(directory, { recursive: true, force: true });
    },
  };
}
