import { Flaw } from '../flaw.ts';
import type { InstructionDef, LowerContext, StageState } from '../instruction.ts';
import { MESSAGES } from '../lint/rules.ts';
import { ownership } from '../ownership.ts';
import { joinPath } from '../paths.ts';
import { expandWord } from '../stage-expand.ts';
import { withConfig, withHistory, workingDirectory } from '../stage-state.ts';
import { displayText, stepMeta } from '../step.ts';

interface WorkdirNode {
  readonly path: string;
}

/** WORKDIR: where later instructions start from. The directory is made at once, as a layer of its own. */
export const workdir: InstructionDef<WorkdirNode> = {
  keyword: 'WORKDIR',
  flags: {},
  heredocs: 'refused',
  step: 'yes',
  parse: ({ text }) => {
    if (text === '') throw new Flaw('MissingArgument', 'WORKDIR requires exactly one argument');
    return { path: text };
  },
  lower: (node, state, context) => {
    const path = expandWord(node.path, state, context);
    if (state.workdir === 'inherited' && !path.startsWith('/')) {
      context.warn('WorkdirRelativePath', MESSAGES.WorkdirRelativePath(path), {
        help: 'start the first WORKDIR with a slash',
      });
    }
    const directory = joinPath(joinPath('/', workingDirectory(state)), path);
    const next: StageState = { ...withConfig(state, { WorkingDir: directory }), workdir: 'set' };
    const made = directory === '/' ? next : withDirectory(directory, next, context);
    return withHistory(made, `WORKDIR ${directory}`, directory === '/' ? 'empty' : 'layer');
  },
};

function withDirectory(path: string, state: StageState, context: LowerContext): StageState {
  const { User } = state.config;
  const text = displayText(context.instruction.line.text.trim(), (name) => state.scope.lookup(name), {
    context,
    quotes: 'remove',
    unset: 'empty',
  });
  const root = context.graph.add(
    {
      kind: 'file',
      base: state.root === undefined ? 'scratch' : 'input',
      actions: [{ type: 'mkdir', path, mode: 0o755, ...(User !== undefined && { owner: ownership(User, 'ignore') }) }],
      ...(context.epochSeconds !== undefined && { epochSeconds: context.epochSeconds }),
    },
    state.root === undefined ? [] : [state.root],
    stepMeta(text, state, context),
  );
  return { ...state, root, step: state.step + 1 };
}
