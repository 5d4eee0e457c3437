import type { ExecMount, ExecOp, VertexId } from '../../src/core/graph.ts';
import { didYouMeanOneOf } from '../../src/core/nearest-name.ts';
import { parseCommandLine, withShell, type CommandLine } from '../command-line.ts';
import { Flaw } from '../flaw.ts';
import type { Instruction, InstructionDef, InstructionText, LowerContext, StageState } from '../instruction.ts';
import { lowerMounts, mountDraws, type RunMounts } from '../run-mounts.ts';
import { withHistory, workingDirectory } from '../stage-state.ts';
import { displayText, stepMeta } from '../step.ts';
import { heredocContent, heredocText, parseHeredocOperator } from '../syntax/heredoc.ts';

/** RUN, as written. */
export interface RunNode {
  readonly command: CommandLine;
  /** As written. */
  readonly mounts: readonly string[];
  readonly network: ExecOp['network'];
  readonly security: ExecOp['security'];
  readonly devices: ExecOp['devices'];
}

/** A program to run, and what shows of it. */
interface Invocation {
  readonly args: readonly string[];
  readonly mounts: readonly ExecMount[];
  /** What the name of the step ends in. */
  readonly summary: string;
}

const SCRIPTS = '/dev/pipes';

/** RUN: runs a program on the tree so far. */
export const run: InstructionDef<RunNode> = {
  keyword: 'RUN',
  flags: { mount: 'strings', network: 'string', security: 'string', device: 'strings' },
  heredocs: 'allowed',
  step: 'yes',
  parse: (text) => {
    const mounts = text.flags.values('mount');
    mountDraws(mounts);
    const command = parseCommandLine(text);
    if (command.form === 'exec' && command.args.length === 0)
      throw new Flaw('MissingArgument', 'RUN requires at least one argument');
    return {
      command,
      mounts,
      network: oneOf('network', text, ['default', 'none', 'host']),
      security: oneOf('security', text, ['sandbox', 'insecure']),
      devices: text.flags.values('device').map(parseDevice),
    };
  },
  draws: (node) => mountDraws(node.mounts),
  lower: (node, state, context) => {
    const { args, mounts, summary } = invocation(node.command, state);
    const inputs: VertexId[] = state.root === undefined ? [] : [state.root];
    const input = (vertex: VertexId): number => {
      const known = inputs.indexOf(vertex);
      return known === -1 ? inputs.push(vertex) - 1 : known;
    };
    const lowered = lowerMounts(node.mounts, state, { context, input });
    const op = execOp({ node, args, mounts: { ...lowered, mounts: [...lowered.mounts, ...mounts] } }, state, context);
    const text = stepText(lowered, state, context) + summary;
    const root = context.graph.add(op, inputs, stepMeta(text, state, context));
    return withHistory({ ...state, root, step: state.step + 1 }, historyText(args, state), 'layer');
  },
};

function execOp(
  o: { readonly node: RunNode; readonly args: readonly string[]; readonly mounts: RunMounts },
  state: StageState,
  context: LowerContext,
): ExecOp {
  const { request } = context;
  const { cgroupParent, shmSizeBytes } = request;
  return {
    kind: 'exec',
    root: state.root === undefined ? 'scratch' : 'input',
    args: o.args,
    env: Array.from(state.scope.entries(), ([name, value]) => `${name}=${value}`),
    cwd: workingDirectory(state),
    user: state.config.User ?? '',
    hostname: request.buildArgs.get('BUILDKIT_SANDBOX_HOSTNAME') ?? 'buildkitsandbox',
    network: o.node.network === 'default' ? request.network : o.node.network,
    security: o.node.security,
    ...o.mounts,
    devices: o.node.devices,
    proxyEnv: context.proxyEnv,
    extraHosts: request.addHosts,
    ulimits: request.ulimits,
    ...(shmSizeBytes !== undefined && { shmSizeBytes }),
    ...(cgroupParent !== undefined && { cgroupParent }),
    resources: request.resources,
    platform: state.platform,
  };
}

/** A lone here-document is a script: run by its `#!` line's program or by the shell. Others are left to the shell. */
function invocation(command: CommandLine, state: StageState): Invocation {
  if (command.form === 'exec') return { args: command.args, mounts: [], summary: '' };
  const [document] = command.heredocs;
  if (document === undefined) return { args: withShell(command.text, state), mounts: [], summary: '' };
  if (parseHeredocOperator(command.text) === undefined) {
    const bodies = command.heredocs.map(({ name, body }) => `\n${Buffer.from(body).toString('utf8')}${name}`);
    return { args: withShell(command.text + bodies.join(''), state), mounts: [], summary: '' };
  }
  const summary = ` (${summarize(Buffer.from(document.body).toString('utf8'))})`;
  if (!Buffer.from(document.body.subarray(0, 2)).equals(Buffer.from('#!'))) {
    return { args: withShell(heredocText(document), state), mounts: [], summary };
  }
  if (document.name.includes('/'))
    throw new Flaw('InvalidHeredoc', `heredoc name ${JSON.stringify(document.name)} is no file name`);
  const target = `${SCRIPTS}/${document.name}`;
  const script: ExecMount = { type: 'file', target, data: heredocContent(document), mode: 0o755 };
  return { args: withShell(target, state), mounts: [script], summary };
}

function summarize(body: string): string {
  const [first = '', ...rest] = body.trim().replaceAll('\r\n', '\n').split('\n');
  return rest.length === 0 ? first : `${first}...`;
}

/** The instruction as written, its known variables replaced and secrets masked. */
function stepText({ secretEnv }: RunMounts, state: StageState, context: LowerContext): string {
  const secrets = new Set(secretEnv.map(({ name }) => name));
  const lookup = (name: string): string | undefined => (secrets.has(name) ? '****' : state.scope.lookup(name));
  return displayText(context.instruction.line.text.trim(), lookup, { context, quotes: 'keep', unset: 'keep' });
}

function historyText(args: readonly string[], state: StageState): string {
  const declared = Array.from(
    state.args.entries(),
    ([name, value]) => `${name}=${state.scope.lookup(name) ?? value ?? ''}`,
  );
  const counted = declared.length === 0 ? [] : [`|${declared.length}`, ...declared];
  return `RUN ${[...counted, ...args].join(' ')} # buildkit`;
}

function oneOf<T extends string>(name: string, { flags }: InstructionText, allowed: readonly [T, ...T[]]): T {
  const value = flags.value(name);
  if (value === undefined || value === '') return allowed[0];
  const found = allowed.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  throw new Flaw('InvalidFlagValue', `${name} ${JSON.stringify(value)} is not valid`, {
    place: { kind: 'flag', name },
    help: didYouMeanOneOf(value, allowed),
  });
}

/** `name[,required]`. */
function parseDevice(text: string): ExecOp['devices'][number] {
  const [first = '', ...options] = text.split(',');
  const name = first.replace(/^name=/, '');
  if (name === '')
    throw new Flaw('InvalidDevice', 'a device needs a name', { place: { kind: 'flag', name: 'device' } });
  const unknown = options.find((option) => !/^required(?:=(?:true|false))?$/.test(option));
  if (unknown !== undefined)
    throw new Flaw('InvalidDevice', `unexpected key '${unknown}' in '${text}'`, {
      place: { kind: 'flag', name: 'device' },
      help: didYouMeanOneOf(unknown, ['required']),
    });
  return { name, presence: options.some((option) => option !== 'required=false') ? 'required' : 'optional' };
}

/** The node of a RUN, or `undefined` for any other instruction. */
export function runNodeOf({ keyword, command }: Instruction): RunNode | undefined {
  return keyword === run.keyword ? (command.node as RunNode) : undefined;
}
