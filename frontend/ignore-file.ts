/** A file that may hold ignore patterns. */
export interface IgnoreFileCandidate {
  /** What `path` starts from: the directory that the Dockerfile's own path starts from, or the root of the context. */
  readonly relativeTo: 'dockerfile' | 'context';
  readonly path: string;
}

/** Where ignore patterns for a build with this Dockerfile are looked for. Only the first that exists counts; nothing is merged. */
export function ignoreFileCandidates(dockerfilePath: string): readonly IgnoreFileCandidate[] {
  return [
    { relativeTo: 'dockerfile', path: `${dockerfilePath}.dockerignore` },
    { relativeTo: 'context', path: '.containerignore' },
    { relativeTo: 'context', path: '.dockerignore' },
  ];
}
