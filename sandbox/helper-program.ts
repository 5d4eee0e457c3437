/** One command of the native helper: its name, then its arguments (sandbox/native/sandbox.h). */
export type HelperCommand = readonly [name: string, ...args: readonly (string | Uint8Array)[]];

/** The beginning of a step, in which nothing is the step's own yet: a helper can be given it ahead of time. */
export interface HelperStart {
  /** Run on the host: what lies before `spawn` prepares, what lies behind it cleans up and runs in any case. */
  readonly keeper: readonly HelperCommand[];
  /** Run in the step's namespaces as soon as they are there. */
  readonly prelude: readonly HelperCommand[];
}

/** What the native helper executes for one step. */
export interface HelperProgram extends HelperStart {
  /** Run as the step's pid 1; the last command is `exec`. */
  readonly step: readonly HelperCommand[];
}

/** The bytes that the helper reads first: two parts, each with its size before it. */
export function encodeStart(start: HelperStart): Buffer {
  return Buffer.concat([...encodePart(start.keeper), ...encodePart(start.prelude)]);
}

/** The bytes that it reads last. */
export function encodeStep(step: readonly HelperCommand[]): Buffer {
  return Buffer.concat(encodePart(step));
}

/** The program for people, one command a line; data in bytes (secrets, scripts, filters) is named by its size only. */
export function formatProgram(program: HelperProgram): string {
  const inside = [...program.prelude, ...program.step].map((command) => `  ${formatCommand(command)}`);
  return [...program.keeper.map(formatCommand), ...inside].join('\n');
}

function formatCommand([name, ...args]: HelperCommand): string {
  const words = args.map((arg) => (typeof arg === 'string' ? JSON.stringify(arg) : `<${arg.length} bytes>`));
  return [name, ...words].join(' ');
}

const terminator = Buffer.alloc(1);

function encodePart(commands: readonly HelperCommand[]): Buffer[] {
  const chunks: Buffer[] = [uint32(commands.length)];
  for (const command of commands) {
    chunks.push(uint32(command.length));
    for (const arg of command) {
      const bytes = Buffer.from(arg);
      chunks.push(uint32(bytes.length), bytes, terminator);
    }
  }
  return [uint32(chunks.reduce((sum, chunk) => sum + chunk.length, 0)), ...chunks];
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
