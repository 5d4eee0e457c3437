import type { LowerRequest } from '../../../frontend/lower-request.ts';
import type { Platform } from '../../../src/oci/platform.ts';

export const AMD64: Platform = { os: 'linux', architecture: 'amd64' };
export const ARM64: Platform = { os: 'linux', architecture: 'arm64' };

/** A request with nothing special in it. */
export function requestOf(change: Partial<LowerRequest> = {}): LowerRequest {
  return {
    buildArgs: new Map(),
    labels: new Map(),
    platform: AMD64,
    platformAsked: 'no',
    buildPlatform: AMD64,
    namedContexts: new Map(),
    images: new Map(),
    noCache: [],
    network: 'default',
    addHosts: [],
    ulimits: [],
    resources: {},
    mainContext: { kind: 'local' },
    multiPlatform: 'no',
    ...change,
  };
}
