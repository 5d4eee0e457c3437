import { didYouMean } from '../src/core/nearest-name.ts';

/** The way out for a word that is none of a few: the one that is near, or all of them. */
export function choiceHelp(word: string, choices: readonly string[]): string {
  return didYouMean(word, choices) ?? `choose from: ${choices.join(', ')}`;
}

/** The way out for what is no truth value. */
export function truthHelp(word: string): string {
  return choiceHelp(word, ['true', 'false']);
}
