/** A truth value as Go's strconv.ParseBool reads it; `undefined` for anything else. */
export function parseTruth(text: string): boolean | undefined {
  if (/^(1|t|true)$/i.test(text)) return true;
  return /^(0|f|false)$/i.test(text) ? false : undefined;
}
