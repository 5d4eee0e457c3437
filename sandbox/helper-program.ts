/** One command of the native helper: its name, then its arguments (sandbox/native/sandbox.h). */
export type HelperCommand = readonly [name: string, ...args: readonly (string | Uint8Array)[]];

/** What the native helper executes for one step. */
export interface HelperProgram {
  /** Run on the host: what lies before `spawn` prepares, what lies behind it cleans up and runs in any case. */
  readonly keeper: readonly HelperCommand[];
  /** Run as the step's pid 1; the last command is `exec`. */
  readonly step: readonly HelperCommand[];
}

/** The bytes that the helper reads: the two parts, each with its size before it. */
export function encodeProgram(program: HelperProgram): Buffer {
  return Buffer.concat([...encodePart(program.keeper), ...encodePart(program.step)]);
}

/** The program for people, one command a line; data in bytes (secrets, scripts, filters) is named by its size only. */
export function formatProgram(program: HelperProgram): string {
  const lines = [...program.keeper.map(formatCommand), ...program.step.map((command) => `  ${formatCommand(command)}`)];
  return lines.join('\n');
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
