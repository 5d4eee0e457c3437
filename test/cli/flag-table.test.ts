import { expect, test } from 'vitest';
import { buildFlags } from '../../src/cli/build-flags.ts';
import { commandTable } from '../../src/cli/command-table.ts';
import { commonFlags, progressFlags } from '../../src/cli/common-flags.ts';
import { formatFlagTable } from '../../src/cli/flag-table.ts';
import { runCli } from '../../src/cli/run-cli.ts';
import { fakeApi, fakeIo } from './fake-io.ts';

test('flag table: a row for each flag', () => {
  const table = formatFlagTable();
  for (const { name, doc } of [...buildFlags, ...progressFlags, ...commonFlags]) {
    expect(table).toContain(`--${name}`);
    expect(doc).toMatch(/^[^A-Z.].*[^.]$/);
  }
  expect(table).toContain('| `-t, --tag NAME[:TAG]` | name the image; may be repeated |\n');
  expect(table).toContain(String.raw`| \`--pull[=always\|missing\|never]\` |`.replaceAll('\\`', '`'));
  expect(table.split('\n').every((line) => line === '' || /^\|(.*[^\\])\|(.*[^\\])\|$/.test(line))).toBe(true);
});

test.each(commandTable)('tsbuild $name --help explains all flags', async ({ name, module: { flags } }) => {
  const io = fakeIo();
  expect(await runCli([name, '--help'], io, fakeApi({}))).toBe(0);
  expect(io.stdout.text).toMatch(new RegExp(`^Usage: tsbuild ${name} `));
  for (const flag of [...flags, ...commonFlags]) expect(io.stdout.text).toContain(`--${flag.name}`);
  const viaHelp = fakeIo();
  await runCli(['help', name], viaHelp, fakeApi({}));
  expect(viaHelp.stdout.text).toBe(io.stdout.text);
});

test.each([['--help'], ['-h'], ['help']])('tsbuild %s lists all commands', async (argument) => {
  const io = fakeIo();
  expect(await runCli([argument], io, fakeApi({}))).toBe(0);
  for (const { name, summary } of commandTable) expect(io.stdout.text).toMatch(new RegExp(`  ${name} +${summary}\n`));
});

test('tsbuild alone is a usage error', async () => {
  const io = fakeIo();
  expect([await runCli([], io, fakeApi({})), io.stdout.text]).toEqual([2, '']);
});
