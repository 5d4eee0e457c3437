import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkProgram, runProgram } from './run-program.ts';

/** A terminal of tmux with a shell in it. */
export interface Terminal extends AsyncDisposable {
  /** Types a command and Enter; when it ends the terminal shows `STATUS=N`. */
  type(command: string): Promise<void>;
  /** Presses a key by tmux' name of it: `C-c`. */
  press(key: string): Promise<void>;
  /** What it shows now. */
  screen(): Promise<string>;
}

/** Opens a terminal of a fixed size; disposing ends everything in it. */
export async function openTerminal(size: { readonly columns: number; readonly rows: number }): Promise<Terminal> {
  const folder = await mkdtemp(join(tmpdir(), 'tsbuild-tmux-'));
  const tmux = ['-S', join(folder, 'socket'), '-f', '/dev/null'];
  const geometry = ['-x', String(size.columns), '-y', String(size.rows)];
  await checkProgram('tmux', [...tmux, 'new-session', '-d', '-s', 'test', ...geometry, 'env PS1= sh'], {
    env: { TERM: 'xterm-256color' },
  });
  const send = async (...keys: readonly string[]): Promise<void> => {
    await checkProgram('tmux', [...tmux, 'send-keys', '-t', 'test', ...keys]);
  };
  return {
    // Clearing first keeps the command itself, and the status of the last one, from being taken for an answer.
    type: (command) => send(`clear; ${command}; echo STATUS=$?`, 'Enter'),
    press: (key) => send(key),
    screen: () => checkProgram('tmux', [...tmux, 'capture-pane', '-p', '-t', 'test']),
    [Symbol.asyncDispose]: async () => {
      await runProgram('tmux', [...tmux, 'kill-server']);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
