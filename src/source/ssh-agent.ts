import { chmod, mkdtemp, open, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { socketPath } from '../core/socket-path.ts';
import { FormatError } from '../oci/format-error.ts';
import type { SshKey } from './ssh-private-key.ts';
import { WireReader, wireString, wireUint32 } from './ssh-wire.ts';

/** Who answers what is asked over one connection: whole messages, without their lengths. Disposing ends the conversation. */
export interface AgentSession extends Disposable {
  answer(request: Buffer): Promise<Buffer>;
}

/** A socket of our own that speaks the agent protocol. Disposing closes it and every connection. */
export interface AgentServer extends AsyncDisposable {
  readonly path: string;
}

/** Message types (draft-ietf-sshm-ssh-agent, section 5.1). */
const FAILURE = 5;
const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;

/** The most that a message may have, as OpenSSH's agent has it. */
const MAX_MESSAGE_SIZE = 256 * 1024;
const LENGTH_SIZE = 4;
/** A step opens one or two at a time. */
const MAX_CONNECTIONS = 64;

/**
 * Listens on a socket that only we can reach. It lets nothing through but questions for the public keys and for signatures: a step may use
 * keys, not add, remove or lock them. One message of a connection is answered after the other; what is too large ends the connection.
 * It lies in a directory of its own below `tmp`, which is swept after a process that is killed.
 */
export async function openAgentServer(openSession: () => AgentSession, tmp: string): Promise<AgentServer> {
  await using opened = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmp, 'agent-'));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  const { fd } = opened.use(await open(directory, 'r'));
  const path = join(directory, 'agent');
  const connections = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    connections.add(connection);
    connection.once('close', () => connections.delete(connection));
    // A client that goes away, or that does not speak the protocol, is none of the build's concern.
    converse(connection, openSession).catch(() => connection.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(socketPath(fd, 'agent'));
  await once(server, 'listening');
  opened.defer(async () => {
    const closed = once(server, 'close');
    server.close();
    for (const connection of connections) connection.destroy();
    await closed;
  });
  await chmod(path, 0o600);
  const kept = opened.move();
  return { path, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Answers with `keys`, which never leave this process. */
export function keySession(keys: readonly SshKey[]): AgentSession {
  return {
    answer: async (request) => {
      if (request[0] === REQUEST_IDENTITIES) return identitiesOf(keys);
      return request[0] === SIGN_REQUEST ? answerSigning(keys, request.subarray(1)) : Buffer.of(FAILURE);
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** Passes questions on to the agent that listens at `path`. */
export function forwardingSession(path: string): AgentSession {
  const agent = connect(path);
  // Whoever waits for the answer is told by the iterator.
  agent.on('error', () => undefined);
  const answers = messagesOf(agent);
  return {
    answer: async (request) => {
      agent.write(wireString(request));
      const next = await answers.next();
      return next.done === true ? Buffer.of(FAILURE) : next.value;
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

async function converse(connection: Socket, openSession: () => AgentSession): Promise<void> {
  using session = openSession();
  await pipeline(
    connection,
    async function* answers(chunks: AsyncIterable<Buffer>) {
      for await (const request of messagesOf(chunks)) {
        const isHarmless = request[0] === REQUEST_IDENTITIES || request[0] === SIGN_REQUEST;
        yield wireString(isHarmless ? await session.answer(request) : Buffer.of(FAILURE));
      }
    },
    connection,
  );
}

/** The messages in a stream, each without its length. @throws FormatError for one that is empty, too large or cut off */
async function* messagesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  let parts: Buffer[] = [];
  let missing = LENGTH_SIZE;
  for await (const chunk of chunks) {
    parts.push(chunk);
    missing -= chunk.byteLength;
    // Joined only where that gives something: a client may send single bytes.
    while (missing <= 0) {
      const pending = Buffer.concat(parts);
      const size = pending.readUInt32BE();
      if (size === 0 || size > MAX_MESSAGE_SIZE) throw new FormatError(`a message of ${size} bytes`);
      const whole = LENGTH_SIZE + size;
      const rest = pending.subarray(whole);
      if (pending.byteLength >= whole) yield pending.subarray(LENGTH_SIZE, whole);
      parts = pending.byteLength >= whole ? [rest] : [pending];
      missing = pending.byteLength >= whole ? LENGTH_SIZE - rest.byteLength : whole - pending.byteLength;
    }
  }
  if (missing !== LENGTH_SIZE) throw new FormatError('a message is cut off');
}

function identitiesOf(keys: readonly SshKey[]): Buffer {
  const listed = keys.flatMap(({ blob, comment }) => [wireString(blob), wireString(comment)]);
  return Buffer.concat([Buffer.of(IDENTITIES_ANSWER), wireUint32(keys.length), ...listed]);
}

async function answerSigning(keys: readonly SshKey[], request: Buffer): Promise<Buffer> {
  const reader = new WireReader(request);
  const [blob, data, flags] = [reader.string(), reader.string(), reader.uint32()];
  const signature = await keys.find((key) => key.blob.equals(blob))?.sign(data, flags);
  return signature === undefined
    ? Buffer.of(FAILURE)
    : Buffer.concat([Buffer.of(SIGN_RESPONSE), wireString(signature)]);
}
