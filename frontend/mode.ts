import type { Mode } from '../src/core/graph.ts';
import { Flaw } from './flaw.ts';

const PLACE = { kind: 'flag', name: 'chmod' } as const;
const CLAUSE = /^[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+$/;

/** What `--chmod` says: an octal number up to 07777, or symbolic changes separated by commas. @throws Flaw */
export function parseMode(text: string): Mode {
  if (/^[0-7]+$/.test(text) && Number.parseInt(text, 8) <= 0o7777) return Number.parseInt(text, 8);
  if (/^\d/.test(text)) {
    throw new Flaw(
      'InvalidMode',
      `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
      { place: PLACE },
    );
  }
  if (text.split(',').every((clause) => CLAUSE.test(clause))) return text;
  throw new Flaw('InvalidMode', `invalid chmod parameter: '${text}'`, {
    place: PLACE,
    help: 'write it as 0644, or as u=rwX,go=rX',
  });
}
