import { BuildError } from '../core/error.ts';
import { isLoopback } from './loopback.ts';

/** One server that answers for a registry: the registry itself or a mirror of it. */
export interface Endpoint {
  /** The registry as references name it. */
  readonly registry: string;
  readonly kind: 'registry' | 'mirror';
  /** `https://registry-1.docker.io`. */
  readonly origin: string;
  /** Path components before every repository, each with its `/` (`proxy/hub/`), for mirrors that serve several registries. */
  readonly prefix: string;
  /** The server's name in docker's configuration. */
  readonly account: string;
}

/** What decides where a registry is reached. */
export interface EndpointOptions {
  readonly mirrors: ReadonlyMap<string, readonly string[]>;
  /** Hosts with or without port that may be spoken to over plain HTTP, besides loopback. */
  readonly insecure: readonly string[];
}

const HUB = 'docker.io';
const HUB_HOST = 'registry-1.docker.io';

/** All servers that can be read from for `registry`: mirrors in the order configured, then the registry itself. */
export function endpointsFor(registry: string, o: EndpointOptions): readonly [...Endpoint[], Endpoint] {
  const mirrors = (o.mirrors.get(registry) ?? []).map((mirror) => mirrorEndpoint(registry, mirror, o));
  return [...mirrors, registryEndpoint(registry, o)];
}

/** The registry itself: the only server to write to. */
export function registryEndpoint(registry: string, o: EndpointOptions): Endpoint {
  const host = registry === HUB ? HUB_HOST : registry;
  return { registry, kind: 'registry', origin: `${schemeFor(host, o)}://${host}`, prefix: '', account: registry };
}

/** `HOST[:PORT][/PATH]`, with `http://` or `https://` before it where the default is not meant. */
function mirrorEndpoint(registry: string, mirror: string, o: EndpointOptions): Endpoint {
  const [, scheme, rest = ''] = /^(?:(https?):\/\/)?(.*)$/.exec(mirror) ?? [];
  const url = URL.parse(`${scheme ?? schemeFor(rest.replace(/\/.*/, ''), o)}://${rest}`);
  if (url === null || url.hostname === '' || url.username !== '' || url.search !== '' || url.hash !== '') {
    const problem = `invalid mirror ${JSON.stringify(mirror)} of ${registry}`;
    throw new BuildError('USAGE', { problem, suggestion: 'write [http://|https://]HOST[:PORT][/PATH]' });
  }
  const path = url.pathname.split('/').filter((component) => component !== '' && component !== 'v2');
  const prefix = path.map((component) => `${component}/`).join('');
  return { registry, kind: 'mirror', origin: url.origin, prefix, account: url.host };
}

function schemeFor(host: string, o: EndpointOptions): 'http' | 'https' {
  const hostname = host.replace(/:\d+$/, '');
  return isLoopback(hostname) || o.insecure.includes(host) || o.insecure.includes(hostname) ? 'http' : 'https';
}
