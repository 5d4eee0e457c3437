import type { InstructionText, StageState } from './instruction.ts';
import type { Heredoc } from './syntax/elements.ts';
import { parseJsonForm } from './syntax/words.ts';

/** The command of RUN, CMD, ENTRYPOINT: JSON strings as they are, or one text for the shell. */
export type CommandLine =
  | { readonly form: 'exec'; readonly args: readonly string[] }
  | { readonly form: 'shell'; readonly text: string; readonly heredocs: readonly Heredoc[] };

const DEFAULT_SHELL = ['/bin/sh', '-c'];

/** What stands behind the flags. @throws Flaw for a JSON array of other things than strings. */
export function parseCommandLine({ text, heredocs }: Pick<InstructionText, 'text' | 'heredocs'>): CommandLine {
  const args = parseJsonForm(text);
  return args === undefined ? { form: 'shell', text, heredocs } : { form: 'exec', args };
}

/** Program and arguments that hand `text` to the shell. */
export function withShell(text: string, state: StageState): readonly string[] {
  return [...shellOf(state), text];
}

function shellOf(state: StageState): readonly string[] {
  const { Shell } = state.config;
  return Shell === undefined || Shell.length === 0 ? DEFAULT_SHELL : Shell;
}
