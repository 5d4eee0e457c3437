/** Bytes or text that break their format. Lower layers throw it; whoever knows which image or file was read wraps it with that. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}
