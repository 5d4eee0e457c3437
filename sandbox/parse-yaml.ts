import { parse, YAMLParseError } from 'yaml';
import { FormatError } from '../src/oci/format-error.ts';

/** What a YAML document says, as JSON's types have it; a few times more aliases than a person would write are refused. @throws FormatError */
export function parseYaml(text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch (error) {
    // A ReferenceError is how the package refuses aliases that are unknown or too many.
    if (!(error instanceof YAMLParseError) && !(error instanceof ReferenceError)) throw error;
    throw new FormatError(error.message.replaceAll(/\s+/g, ' ').trim(), { cause: error });
  }
}
