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
  return Buffer.concat([encodePart(start.keeper), encodePart(start.prelude)]);
}

/** The bytes that it reads last. */
export function encodeStep(step: readonly HelperCommand[]): Buffer {
  return encodePart(step);
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

const numberBytes = 4;

/** Written into one buffer that is large enough: there are hundreds of arguments, and the next step waits. */
function encodePart(commands: readonly HelperCommand[]): Buffer {
  const bytes = Buffer.allocUnsafe(2 * numberBytes + sum(commands, mostBytesOf));
  let at = bytes.writeUInt32LE(commands.length, numberBytes);
  for (const command of commands) {
    at = bytes.writeUInt32LE(command.length, at);
    for (const arg of command) at = writeArgument(bytes, arg, at);
  }
  bytes.writeUInt32LE(at - numberBytes, 0);
  return bytes.subarray(0, at);
}

function mostBytesOf(command: HelperCommand): number {
  return numberBytes + sum(command, (arg) => numberBytes + (typeof arg === 'string' ? 3 : 1) * arg.length + 1);
}

/** @returns the place behind it. */
function writeArgument(bytes: Buffer, arg: string | Uint8Array, at: number): number {
  const start = at + numberBytes;
  const size = typeof arg === 'string' ? bytes.write(arg, start) : arg.length;
  if (typeof arg !== 'string') bytes.set(arg, start);
  bytes.writeUInt32LE(size, at);
  return bytes.writeUInt8(0, start + size);
}

function sum<T>(items: readonly T[], size: (item: T) => number): number {
  return items.reduce((total, item) => total + size(item), 0);
}
