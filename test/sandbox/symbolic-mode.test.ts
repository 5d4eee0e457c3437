import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { modeChange } from '../../sandbox/symbolic-mode.ts';
import { openTemp } from '../support/temp.ts';

const modes = [
  'u=rwX,go=rX',
  'a+x',
  '+x',
  'go-rwx',
  'u+s,g+s',
  '+t',
  'o+t',
  'u=rw,g=u,o=g',
  'ug=rwx-w',
  'a=',
  'u-x+w',
  'go=u-w',
  'g=s',
];
const before = [0o644, 0o755, 0o600, 0o4711, 0o1777, 0o2750, 0o000];

describe('symbolic mode', () => {
  it.each(modes)('%s: does what chmod(1) does with umask 0', (mode) => {
    using temp = openTemp();
    writeFileSync(temp.at('f'), '');
    mkdirSync(temp.at('d'));
    for (const old of before) {
      for (const [name, type] of [
        ['f', 'other'],
        ['d', 'directory'],
      ] as const) {
        chmodSync(temp.at(name), old);
        execFileSync('sh', ['-c', `umask 0; chmod '${mode}' ${temp.at(name)}`]);
        const expected = (statSync(temp.at(name)).mode & 0o7777).toString(8);
        expect(`${name} ${old.toString(8)} ${modeChange(mode)(old, type).toString(8)}`).toBe(
          `${name} ${old.toString(8)} ${expected}`,
        );
      }
    }
  });
  it('numbers, also as text, replace all bits', () => {
    expect([modeChange(0o4755)(0o1600, 'other'), modeChange('0755')(0o4600, 'directory')]).toEqual([0o4755, 0o755]);
  });
  it.each(['', 'x', 'u=rwz', '888', '12345', 'u=rw,', 'u', '=,'])('refuses %j', (mode) => {
    expect(() => modeChange(mode)).toThrow(expect.objectContaining({ code: 'COPY_INVALID' }) as Error);
  });
});
