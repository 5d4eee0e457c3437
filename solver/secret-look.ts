const NAMES =
  /(secret|token|passw(or)?d|passphrase|credential|private|api_?key|access_?key|auth|(^|_)(pw|pwd|pat|key)($|_))/i;
const KNOWN =
  /\b(gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|AKIA[0-9A-Z]{12,}|xox[abprs]-[\w-]{10,}|eyJ[\w-]{10,}\.[\w.-]+)/;
const URL_WITH_PASSWORD = /\/\/[^/\s:@]+:[^/\s@]+@/;
/** Long, of one piece, with letters of both cases and digits: nobody types that. */
const RANDOM = /^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9+/_=-]{24,}$/;

/** What stands for a value that must not be shown. */
export const MASK = '***';

/** `value`, or stars where it, or the name it goes by, looks like a secret. Build args are no secrets, but people use them so. */
export function maskValue(name: string, value: string): string {
  if (value === '') return value;
  return NAMES.test(name) || KNOWN.test(value) || URL_WITH_PASSWORD.test(value) || RANDOM.test(value) ? MASK : value;
}
