import { execFileSync } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import type { ProgressEvent } from '../../src/core/progress.ts';
import { at } from './events.ts';
import { describeWith } from '../support/requires.ts';
import { openTerminal, type Terminal } from './terminal.ts';

interface Player extends AsyncDisposable {
  readonly terminal: Terminal;
  /** Shows events, then sets the clock. */
  readonly show: (ms: number, ...events: readonly ProgressEvent[]) => void;
  readonly send: (command: unknown) => void;
  readonly end: () => void;
}

async function openPlayer(size: { columns: number; rows: number }): Promise<Player> {
  const terminal = await openTerminal(size);
  const fifo = join(terminal.directory, 'events');
  execFileSync('mkfifo', [fifo]);
  await terminal.start([process.execPath, resolve(import.meta.dirname, 'tty-player.ts'), fifo]);
  const pipe: WriteStream = createWriteStream(fifo);
  const send = (command: unknown): void => {
    pipe.write(`${JSON.stringify(command)}\n`);
  };
  return {
    terminal,
    send,
    end: () => {
      pipe.end();
    },
    show: (ms, ...events) => {
      for (const event of events) send(event.type === 'output' ? { ...event, chunk: [...event.chunk] } : event);
      send({ type: 'clock', ms });
    },
    [Symbol.asyncDispose]: async () => {
      pipe.destroy();
      await terminal[Symbol.asyncDispose]();
    },
  };
}

describeWith(['tmux'], 'live view in a real terminal', () => {
  test('shows running steps with their output, and leaves the whole picture', async () => {
    await using player = await openPlayer({ columns: 60, rows: 14 });
    const { terminal } = player;
    player.show(2500, at.planned(0, '[a 1/2] FROM scratch', '[a 2/2] RUN make', '[b 1/1] RUN test'));
    player.show(
      2500,
      at.done(0, '[a 1/2] FROM scratch', 'yes'),
      at.started(0, '[a 2/2] RUN make'),
      at.started(500, '[b 1/1] RUN test'),
    );
    player.show(
      2500,
      at.output(600, '[a 2/2] RUN make', 'cc a.c\ncc b.c\n'),
      at.output(700, '[b 1/1] RUN test', 'ok 1\n'),
    );
    expect(await terminal.screen((text) => text.includes('ok 1') && text.includes('2.5s'))).toBe(`$ tsbuild .
[+] Building 2.5s (1/3)
 => CACHED [a 1/2] FROM scratch                    0.0s
 => [a 2/2] RUN make                               2.5s
 => => # cc a.c
 => => # cc b.c
 => [b 1/1] RUN test                               2.0s
 => => # ok 1`);
    player.show(4000, at.done(3000, '[a 2/2] RUN make'), at.done(4000, '[b 1/1] RUN test'));
    player.end();
    expect(await terminal.screen((text) => text.includes('bye'))).toContain(`$ tsbuild .
[+] Building 4.0s (3/3) FINISHED
 => CACHED [a 1/2] FROM scratch                    0.0s
 => [a 2/2] RUN make                               3.0s
 => [b 1/1] RUN test                               3.5s
bye`);
    expect(await terminal.status()).toBe(0);
  });

  test('never grows beyond the screen, and leaves no traces of old frames', async () => {
    await using player = await openPlayer({ columns: 50, rows: 10 });
    const { terminal } = player;
    const names = Array.from({ length: 30 }, (_, index) => `step ${index + 1}`);
    player.show(0, at.planned(0, ...names));
    for (const [index, name] of names.entries()) {
      player.show(
        index * 100,
        at.started(index * 100, name),
        at.output(index * 100, name, `${name} says hello\n`.repeat(20)),
      );
      await terminal.screen((text) => text.includes(`${name} says hello`));
      player.show(index * 100 + 50, at.done(index * 100 + 50, name));
    }
    player.end();
    const screen = await terminal.screen((text) => text.includes('bye'));
    expect(screen.match(/\[\+\] Building/g)).toHaveLength(1);
    expect(screen).not.toContain('says hello');
    expect(screen.match(/ => step \d+ /g)).toHaveLength(30);
  });

  test('follows the size of the terminal', async () => {
    await using player = await openPlayer({ columns: 80, rows: 30 });
    const { terminal } = player;
    const long = `RUN ${'abcdefghi '.repeat(12)}`;
    player.show(1000, at.started(0, long), at.output(1, long, `${'x'.repeat(200)}\n`.repeat(8)));
    await terminal.screen((text) => text.includes('xxx'));
    // Rows that a terminal wraps when it shrinks may have left the screen; nobody can take them back.
    for (const [columns, rows] of [
      [40, 28],
      [100, 30],
      [30, 26],
      [60, 20],
    ] as const) {
      await terminal.resize(columns, rows);
      const header = `[+] Building 1.0s (0/1)`;
      const fits = (text: string): boolean => {
        const lines = text.slice(text.indexOf(header)).split('\n');
        return lines.length > 1 && lines.every((line) => line.length <= columns) && lines[1]?.length === columns - 5;
      };
      const screen = await terminal.screen((text) => text.includes(header) && fits(text), 'visible');
      expect(screen.match(/\[\+\]/g)).toHaveLength(1);
    }
  });

  test('lets other text through above itself', async () => {
    await using player = await openPlayer({ columns: 60, rows: 10 });
    player.show(1000, at.started(0, 'RUN a'));
    player.send({ type: 'print', text: 'a warning\n' });
    expect(await player.terminal.screen((text) => text.includes('1.0s') && text.includes('warning'))).toBe(`$ tsbuild .
a warning
[+] Building 1.0s (0/1)
 => RUN a                                          1.0s`);
  });
});
