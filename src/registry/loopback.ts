/** Whether `hostname` (as `URL.hostname` gives it) is this machine, so that plain HTTP crosses no network. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
