import { buildFlags, type BuildFlags } from './build-flags.ts';
import type { AnyFlag } from './flag.ts';
import { parseChoice } from './parse-key-value.ts';

/** How a forecast is printed. */
export interface ForecastFlags {
  readonly format: 'text' | 'json';
}

/** The flags of commands that foresee a build, besides those that say which build. */
export const forecastFlags: readonly AnyFlag<ForecastFlags>[] = [
  {
    name: 'format',
    value: 'text|json',
    field: 'format',
    doc: 'for people or for programs (default: text)',
    parse: (texts) => parseChoice('--format', texts.at(-1) ?? '', ['text', 'json']),
  },
];

const WITHOUT_EFFECT = ['iidfile', 'metadata-file', 'call', 'check', 'explain', 'max-used-space', 'cache-to'];

/** The flags of `build` that a forecast takes; all that cannot matter to it are accepted for the sake of copied command lines. */
export const foreseenFlags: readonly AnyFlag<BuildFlags>[] = buildFlags.filter(
  ({ name }) => !WITHOUT_EFFECT.includes(name),
);
