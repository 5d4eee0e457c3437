import { describe, expect, it } from 'vitest';
import { redactText, redactUrl } from '../../src/source/redact.ts';

describe('redaction', () => {
  it.each([
    ['https://ann:secret@h.example/a?token=abc&x=1#f', 'https://h.example/a?token=xxxxx&x=xxxxx#f'],
    ['git@h.example:a/b.git', 'git@h.example:a/b.git'],
    ['https://h.example/a', 'https://h.example/a'],
  ])('%s', (url, expected) => expect(redactUrl(url)).toBe(expected));
  it('text: loses secrets, the longest first, and logins', () => {
    expect(redactText("can't open https://a:b@h/x with abcdef", ['abc', 'abcdef'])).toBe(
      "can't open https://h/x with xxxxx",
    );
  });
});
