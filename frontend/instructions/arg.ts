import { Flaw } from '../flaw.ts';
import type { Instruction, InstructionDef, LowerContext, StageState } from '../instruction.ts';
import { MESSAGES } from '../lint/rules.ts';
import { looksSecret } from '../lint/secret-names.ts';
import { expandWord } from '../stage-expand.ts';
import { withHistory } from '../stage-state.ts';
import { splitQuoted } from '../syntax/words.ts';

/** One argument that an ARG declares. */
export interface ArgDeclaration {
  readonly name: string;
  /** As written, quotes included. */
  readonly defaultValue?: string;
  /** The text after `# NAME ` in a comment above. */
  readonly description?: string;
}

/** The arguments of one ARG. */
export interface ArgNode {
  readonly args: readonly ArgDeclaration[];
}

/** Arguments that steer the builder and never reach a step's environment. */
const NOT_IN_ENVIRONMENT = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

/** ARG: variables of the build. Unlike ENV, an argument sees those before it on the same line. */
export const arg: InstructionDef<ArgNode> = {
  keyword: 'ARG',
  flags: {},
  heredocs: 'refused',
  step: 'no',
  parse: ({ text }, { escape, comments }) => {
    const words = splitQuoted(text, escape);
    if (words.length === 0) throw new Flaw('MissingArgument', 'ARG requires at least one argument');
    return {
      args: words.map((word, index) => parseArg(word, { index, comments: comments.map((comment) => comment.text) })),
    };
  },
  lower: (node, state, context) => {
    const texts: string[] = [];
    let next = state;
    for (const declaration of node.args) {
      const { name, value, after } = declare(declaration, next, context);
      texts.push(value === undefined ? name : `${name}=${value}`);
      next = after;
    }
    return withHistory(next, `ARG ${texts.join(' ')}`, 'empty');
  },
};

/** `--build-arg` wins, then the default of this line, then the global scope. */
function declare(
  declaration: ArgDeclaration,
  state: StageState,
  context: LowerContext,
): { name: string; value: string | undefined; after: StageState } {
  const { name } = declaration;
  if (looksSecret(name)) {
    context.warn('SecretsUsedInArgOrEnv', MESSAGES.SecretsUsedInArgOrEnv('ARG', name), {
      place: { kind: 'word', text: name },
      help: 'mount it where it is needed: RUN --mount=type=secret,…',
    });
  }
  const value =
    context.request.buildArgs.get(name) ??
    defaultOf(declaration, state, context) ??
    inherited(name, declaration, context);
  const args = state.args.with(name, value);
  const visible = value !== undefined && !NOT_IN_ENVIRONMENT.has(name);
  return { name, value, after: { ...state, args, scope: visible ? state.scope.with(name, value) : state.scope } };
}

function defaultOf({ defaultValue }: ArgDeclaration, state: StageState, context: LowerContext): string | undefined {
  return defaultValue === undefined ? undefined : expandWord(defaultValue, state, context);
}

function inherited(name: string, { defaultValue }: ArgDeclaration, context: LowerContext): string | undefined {
  return defaultValue === undefined ? context.globals.lookup(name) : undefined;
}

function parseArg(word: string, o: { readonly index: number; readonly comments: readonly string[] }): ArgDeclaration {
  const equals = word.indexOf('=');
  const name = equals === -1 ? word : word.slice(0, equals);
  if (name === '')
    throw new Flaw('BlankName', 'ARG names can not be blank', { place: { kind: 'argument', index: o.index } });
  const description = describe(name, o.comments);
  return {
    name,
    ...(equals !== -1 && { defaultValue: word.slice(equals + 1) }),
    ...(description !== undefined && { description }),
  };
}

/** What a comment `# NAME text` says about `name`. */
export function describe(name: string, comments: readonly string[]): string | undefined {
  return comments.find((comment) => comment.startsWith(`${name} `))?.slice(name.length + 1);
}

/** The node of an ARG, or `undefined` for any other instruction. */
export function argNodeOf({ keyword, command }: Instruction): ArgNode | undefined {
  return keyword === arg.keyword ? (command.node as ArgNode) : undefined;
}
