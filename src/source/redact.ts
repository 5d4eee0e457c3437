/** `url` for messages: without user names and passwords, values of the query hidden. Text that is no URL loses what looks like a login. */
export function redactUrl(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.host === '') return redactText(url, []);
  parsed.username = '';
  parsed.password = '';
  const names = [...new Set(parsed.searchParams.keys())];
  for (const name of names) parsed.searchParams.set(name, 'xxxxx');
  return parsed.href;
}

/** Another program's words without `secrets` and without logins in URLs. */
export function redactText(text: string, secrets: readonly string[]): string {
  const hidden = secrets
    .filter((secret) => secret !== '')
    .toSorted((a, b) => b.length - a.length)
    .reduce((rest, secret) => rest.replaceAll(secret, 'xxxxx'), text);
  return hidden.replaceAll(/\/\/[^/@\s]{1,1024}@/g, '//');
}
