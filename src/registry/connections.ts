import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isLoopback } from './loopback.ts';

/** Connections kept open for reuse, apart for loopback, which no proxy may see. */
export interface Connections extends Disposable {
  agentFor(url: URL): HttpAgent;
}

/** Idle connections kept per host. */
const MAX_FREE = 16;

/** Proxies are those of the environment: HTTP_PROXY, HTTPS_PROXY, NO_PROXY. */
export function openConnections(): Connections {
  const options = { keepAlive: true, maxFreeSockets: MAX_FREE, scheduling: 'lifo' } as const;
  const agents = new Map<string, HttpAgent>();
  const create = (secure: boolean, local: boolean): HttpAgent => {
    const proxied = local ? options : { ...options, proxyEnv: process.env };
    return secure ? new HttpsAgent(proxied) : new HttpAgent(proxied);
  };
  return {
    agentFor: (url) => {
      const secure = url.protocol === 'https:';
      const local = isLoopback(url.hostname);
      const key = `${url.protocol}${local}`;
      const agent = agents.get(key) ?? create(secure, local);
      agents.set(key, agent);
      return agent;
    },
    [Symbol.dispose]: () => {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}
