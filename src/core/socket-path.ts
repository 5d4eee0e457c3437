/**
 * A short path of the socket `name` in the directory that is open as `directory` in this process: a socket's path has at most 107 bytes, and that
 * of a store may be longer. The directory has to stay open as long as the path is used; a server removes its socket by it.
 */
export function socketPath(directory: number, name: string): string {
  return `/proc/self/fd/${directory}/${name}`;
}
