const variable = /^(?:https?|ftp|all)_proxy$/i;
const loopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/i;

/** The first variable of an environment that names a proxy on the host's loopback, which only the host's own network reaches. */
export function loopbackProxy(env: readonly string[]): string | undefined {
  for (const entry of env) {
    const name = entry.slice(0, entry.indexOf('='));
    const text = entry.slice(name.length + 1);
    if (!variable.test(name)) continue;
    const url = URL.parse(text.includes('://') ? text : `http://${text}`);
    if (url !== null && loopback.test(url.hostname)) return name;
  }
  return undefined;
}
