/** A moment at which a crash must do no harm; `test/crash` kills the process at each of them. */
export type Failpoint =
  | 'blob-written'
  | 'blob-synced'
  | 'blob-published'
  | 'names-written'
  | 'names-published'
  | 'records-begun'
  | 'records-committed'
  | 'prune-forgotten'
  | 'prune-removing';

/** Kills this process the way a power cut would where `TSBUILD_FAILPOINT` names `point`: only tests set it. */
export function failpoint(point: Failpoint): void {
  if (process.env['TSBUILD_FAILPOINT'] === point) process.kill(process.pid, 'SIGKILL');
}
