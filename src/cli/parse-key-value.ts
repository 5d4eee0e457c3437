import { didYouMeanOneOf } from '../core/nearest-name.ts';
import { usageError } from './usage-error.ts';

/** The entries of a repeated `KEY=VALUE` flag; later ones win. */
export function parseKeyValues(flag: string, texts: readonly string[]): ReadonlyMap<string, string> {
  return new Map(texts.map((text) => splitKeyValue(flag, text)));
}

/** `KEY=VALUE`, both as written; the value may be empty, the key may not. */
export function splitKeyValue(flag: string, text: string): readonly [string, string] {
  const equals = text.indexOf('=');
  if (equals < 1) throw usageError(`${flag}: invalid value ${JSON.stringify(text)}`, 'write KEY=VALUE');
  return [text.slice(0, equals), text.slice(equals + 1)];
}

/** The build arguments of a repeated flag. `KEY` alone takes the environment's value; `undefined` where it has none. */
export function parseBuildArgs(
  texts: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, string | undefined> {
  return new Map(
    texts.map((text) => {
      if (text === '' || text.startsWith('='))
        throw usageError(`--build-arg: invalid value ${JSON.stringify(text)}`, 'write NAME=VALUE');
      return text.includes('=') ? splitKeyValue('--build-arg', text) : [text, env[text]];
    }),
  );
}

/** Labels: `KEY` alone is an empty label, as docker has it. */
export function parseLabels(texts: readonly string[]): ReadonlyMap<string, string> {
  return new Map(texts.map((text) => (text.includes('=') ? splitKeyValue('--label', text) : [text, ''])));
}

const ANNOTATION_TYPES = ['manifest', 'index', 'manifest-descriptor', 'index-descriptor'];

/** Manifest annotations: `KEY=VALUE` or `manifest:KEY=VALUE`. */
export function parseAnnotations(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text) => {
      const [key, value] = splitKeyValue('--annotation', text);
      const typed = /^([a-z][a-z,-]*)(\[[^\]]*\])?:(.*)$/.exec(key);
      if (typed === null) return [key, value];
      const [, types = '', platform, name = ''] = typed;
      const unknown = types.split(',').find((type) => !ANNOTATION_TYPES.includes(type));
      if (unknown !== undefined) {
        throw usageError(
          `--annotation: unknown type ${JSON.stringify(unknown)}`,
          didYouMeanOneOf(unknown, ANNOTATION_TYPES),
        );
      }
      if (types !== 'manifest' || platform !== undefined) {
        throw usageError(
          `--annotation: ${types}${platform ?? ''} cannot be annotated yet`,
          'annotate the manifest: KEY=VALUE',
        );
      }
      return [name, value];
    }),
  );
}

/** One of `known`, spelt exactly. */
export function parseChoice<const T extends string>(flag: string, text: string, known: readonly T[]): T {
  const found = known.find((name) => name === text);
  if (found === undefined)
    throw usageError(`${flag}: unknown value ${JSON.stringify(text)}`, didYouMeanOneOf(text, known));
  return found;
}
