import { existsSync, readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
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
    return secure ? new HttpsAgent({ ...proxied, secureContext: trustedContext() }) : new HttpAgent(proxied);
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

/** Where distributions keep all certificates that the machine trusts in one file. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** Whom Node trusts, and whom the machine trusts: a company's own registry is signed by the company. One context serves all connections. */
function trustedContext(): SecureContext {
  // Node's own list of the system's certificates reads every file of the directory: 90 ms against 2.
  const bundle = [process.env['SSL_CERT_FILE'] ?? '', ...SYSTEM_BUNDLES].find((path) => existsSync(path));
  const system = bundle === undefined ? [] : [readFileSync(bundle, 'utf8')];
  return createSecureContext({ ca: [...getCACertificates('default'), ...system] });
}
