import { type Agent, type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isErrno } from '../core/error.ts';
import { BodyFailure, StaleConnection } from './network-failure.ts';
import type { HttpRequest, HttpResponse, RequestBody, TransportLimits } from './http-message.ts';

/**
 * One request and its answer on one connection: no redirect, no second try.
 * An answer that comes before the request's body is out ends the sending: it says why.
 */
export async function exchange(request: HttpRequest, agent: Agent, limits: TransportLimits): Promise<HttpResponse> {
  request.signal?.throwIfAborted();
  const { method, url, body, signal } = request;
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const length = body === undefined ? (method === 'POST' ? { 'content-length': '0' } : {}) : lengthOf(body);
  const client = send(url, {
    method,
    agent,
    headers: { ...request.headers, ...length },
    ...(signal === undefined ? {} : { signal }),
  });
  limitTimes(client, limits);
  const answered = answerOf(client);
  if (body === undefined) client.end();
  else await Promise.all([answered, sendBody(client, body)]);
  const message = await answered;
  return { status: message.statusCode ?? 0, headers: message.headers, url, body: message };
}

function lengthOf(body: RequestBody): { 'content-length': string } {
  return { 'content-length': String(body.size) };
}

function answerOf(client: ClientRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  client.once('response', (message) => {
    // The connection cannot serve another request while this one's body is unfinished.
    if (!client.writableEnded) message.once('end', () => client.destroy());
    resolve(message);
  });
  client.on('error', (error) =>
    reject(client.reusedSocket && isErrno(error, 'ECONNRESET', 'EPIPE') ? new StaleConnection(error) : error),
  );
  client.once('close', () => reject(Object.assign(new Error('closed without an answer'), { code: 'ECONNRESET' })));
  return promise;
}

async function sendBody(client: ClientRequest, body: RequestBody): Promise<void> {
  let answered = false;
  client.once('response', () => (answered = true));
  try {
    for await (const chunk of body.open()) {
      if (answered || client.destroyed) return;
      if (!client.write(chunk)) await drained(client);
    }
  } catch (error) {
    client.destroy();
    throw new BodyFailure(error);
  }
  client.end();
}

function drained(client: ClientRequest): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const events = ['drain', 'close', 'error', 'response'];
  const done = (): void => {
    for (const event of events) client.off(event, done);
    resolve(undefined);
  };
  for (const event of events) client.on(event, done);
  return promise;
}

function limitTimes(client: ClientRequest, limits: TransportLimits): void {
  const stop = (code: string, what: string): void => {
    client.destroy(Object.assign(new Error(what), { code }));
  };
  client.setTimeout(limits.idleTimeoutMs, () =>
    stop('ETIMEDOUT', `nothing was heard for ${limits.idleTimeoutMs / 1000} s`),
  );
  client.once('socket', (socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(
      () => stop('ETIMEDOUT', `no connection within ${limits.connectTimeoutMs / 1000} s`),
      limits.connectTimeoutMs,
    );
    const clear = (): void => clearTimeout(timer);
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', clear).once('close', clear);
  });
}
