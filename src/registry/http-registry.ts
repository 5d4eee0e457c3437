import type { BlobInfo } from '../core/content.ts';
import { BuildError, isBuildError, messageOf } from '../core/error.ts';
import type { Registry } from '../core/registry.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { formatReference, formatRepository, type Reference } from '../oci/reference.ts';
import { openAuthorizer } from './auth.ts';
import { downloadBlob } from './blob-download.ts';
import { hasBlob, pushBlob } from './blob-upload.ts';
import { openCredentialStore } from './credentials.ts';
import { type Endpoint, type EndpointOptions, endpointsFor, registryEndpoint } from './endpoint.ts';
import type { TransportLimits } from './http-message.ts';
import { fetchManifest, pushManifest, resolveManifest } from './manifests.ts';
import { openSession, type Session } from './session.ts';
import { openTransport } from './transport.ts';

/** How registries are reached. */
export interface RegistryOptions extends EndpointOptions {
  /** Docker's `config.json`; without it every registry is asked anonymously. */
  readonly dockerConfigPath?: string | undefined;
  readonly userAgent: string;
  /** For tests; the defaults suit the internet. */
  readonly limits?: Partial<TransportLimits>;
}

/** How long a mirror that could not be reached is left alone. */
const MIRROR_REST_MS = 30_000;

/**
 * A client of the distribution-spec for all registries. Reads ask the registry's mirrors in order, then the registry itself;
 * writes go to the registry itself. Nothing is sent and no file is read before the first call.
 */
export function openRegistry(o: RegistryOptions): Registry {
  const transport = openTransport(o);
  const session = openSession(transport, openAuthorizer(transport, openCredentialStore(o.dockerConfigPath)));
  const readers = openReaders(o);
  return {
    resolve: (reference, { signal } = {}) =>
      readers.ask(reference, (endpoint) => resolveManifest(session, endpoint, { reference, signal }), signal),
    fetchManifest: async (reference, descriptor, { signal } = {}) =>
      (await readers.ask(
        reference,
        (endpoint) => fetchManifest(session, endpoint, { reference, descriptor, signal }),
        signal,
      )) ?? missing(reference, descriptor),
    fetchBlob: (reference, blob, { signal } = {}) => fetchBlob(session, readers, { reference, blob, signal }),
    hasBlob: (reference, blob, { signal } = {}) =>
      hasBlob(session, registryEndpoint(reference.registry, o), { reference, blob, signal }),
    pushBlob: (reference, blob, options) =>
      pushBlob(session, registryEndpoint(reference.registry, o), { reference, blob, ...options }),
    pushManifest: (reference, descriptor, bytes, { signal } = {}) =>
      pushManifest(session, registryEndpoint(reference.registry, o), { reference, descriptor, bytes, signal }),
    [Symbol.asyncDispose]: async () => transport[Symbol.dispose](),
  };
}

/** Chooses among the servers that can be read from. */
interface Readers {
  /** The endpoints worth asking now, in order. */
  endpoints(reference: Reference): readonly Endpoint[];
  /** The first answer that is not `undefined`. A mirror's failure counts only where the registry fails as well. */
  ask<T>(
    reference: Reference,
    question: (endpoint: Endpoint) => Promise<T | undefined>,
    signal?: AbortSignal,
  ): Promise<T | undefined>;
  /** Remembers that a mirror failed. */
  failed(endpoint: Endpoint, error: unknown): void;
}

function openReaders(o: EndpointOptions): Readers {
  const restUntilMs = new Map<string, number>();
  const readers: Readers = {
    endpoints: ({ registry }) =>
      endpointsFor(registry, o).filter(
        ({ kind, origin }) => kind === 'registry' || (restUntilMs.get(origin) ?? 0) <= Date.now(),
      ),
    failed: (endpoint, error) => {
      const rests = endpoint.kind === 'mirror' && isBuildError(error, 'REGISTRY_UNREACHABLE');
      if (rests) restUntilMs.set(endpoint.origin, Date.now() + MIRROR_REST_MS);
    },
    async ask(reference, question, signal) {
      const failures: string[] = [];
      for (const endpoint of readers.endpoints(reference)) {
        try {
          const answer = await question(endpoint);
          if (answer !== undefined) return answer;
          if (endpoint.kind === 'mirror') failures.push(`mirror ${endpoint.origin} does not have it`);
        } catch (error) {
          signal?.throwIfAborted();
          readers.failed(endpoint, error);
          if (endpoint.kind === 'registry') throw withMirrors(error, failures);
          failures.push(`mirror ${endpoint.origin}: ${messageOf(error)}`);
        }
      }
      return undefined;
    },
  };
  return readers;
}

async function* fetchBlob(
  session: Session,
  readers: Readers,
  o: { readonly reference: Reference; readonly blob: BlobInfo; readonly signal: AbortSignal | undefined },
): AsyncIterable<Uint8Array> {
  const failures: string[] = [];
  const progress = { offset: 0 };
  for (const endpoint of readers.endpoints(o.reference)) {
    try {
      if ((yield* downloadBlob(session, endpoint, { ...o, progress })) === 'whole') return;
      if (endpoint.kind === 'mirror') failures.push(`mirror ${endpoint.origin} does not have it`);
    } catch (error) {
      o.signal?.throwIfAborted();
      readers.failed(endpoint, error);
      if (endpoint.kind === 'registry') throw withMirrors(error, failures);
      failures.push(`mirror ${endpoint.origin}: ${messageOf(error)}`);
    }
  }
  const reason = [`blob ${o.blob.digest} is missing`, ...failures].join('; ');
  throw new BuildError('IMAGE_NOT_FOUND', { reference: formatRepository(o.reference), reason });
}

/** The registry's own failure, with what its mirrors said before. */
function withMirrors(error: unknown, failures: readonly string[]): unknown {
  if (failures.length === 0) return error;
  const context = { cause: error };
  if (isBuildError(error, 'REGISTRY_UNREACHABLE')) {
    const reason = [error.detail.reason, ...failures].join('; ');
    return new BuildError('REGISTRY_UNREACHABLE', { ...error.detail, reason }, context);
  }
  if (isBuildError(error, 'REGISTRY_REFUSED')) {
    const reason = [error.detail.reason, ...failures].join('; ');
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    return new BuildError('REGISTRY_REFUSED', { ...error.detail, reason }, { ...context, ...hint });
  }
  return error;
}

function missing(reference: Reference, descriptor: Descriptor): never {
  throw new BuildError('IMAGE_NOT_FOUND', { reference: formatReference({ ...reference, digest: descriptor.digest }) });
}
