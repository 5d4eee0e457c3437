// `npm run test:guest [-- COMMAND]`: runs a shell command in the guest, by default all tests that depend on the kernel.
import { buildDist } from '../support/build-dist.ts';
import { runInGuest } from './guest.ts';
import { vitestCommand } from './vitest-command.ts';

const allTests = vitestCommand('test/guest/inside', 'test/sandbox', 'test/security');
const [command = allTests] = [process.argv.slice(2).join(' ')].filter(Boolean);
await buildDist();
const { status, console } = await runInGuest(command, { onOutput: (text) => process.stdout.write(text) });
if (status === undefined) process.stderr.write(`the guest ended early:\n${console}`);
process.exitCode = status ?? 1;
