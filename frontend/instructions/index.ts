import { register, type AnyInstructionDef } from '../instruction.ts';
import { add } from './add.ts';
import { arg } from './arg.ts';
import { cmd } from './cmd.ts';
import { copy } from './copy.ts';
import { entrypoint } from './entrypoint.ts';
import { env } from './env.ts';
import { expose } from './expose.ts';
import { from } from './from.ts';
import { healthcheck } from './healthcheck.ts';
import { label } from './label.ts';
import { maintainer } from './maintainer.ts';
import { onbuild } from './onbuild.ts';
import { run } from './run.ts';
import { shell } from './shell.ts';
import { stopsignal } from './stopsignal.ts';
import { user } from './user.ts';
import { volume } from './volume.ts';
import { workdir } from './workdir.ts';

const DEFINITIONS: readonly AnyInstructionDef[] = [
  register(add),
  register(arg),
  register(cmd),
  register(copy),
  register(entrypoint),
  register(env),
  register(expose),
  register(from),
  register(healthcheck),
  register(label),
  register(maintainer),
  register(onbuild),
  register(run),
  register(shell),
  register(stopsignal),
  register(user),
  register(volume),
  register(workdir),
];

/** All instructions, by their keyword in upper case. */
export const INSTRUCTIONS: ReadonlyMap<string, AnyInstructionDef> = new Map(
  DEFINITIONS.map((def) => [def.keyword, def]),
);

/** Their keywords. */
export const KEYWORDS: readonly string[] = [...INSTRUCTIONS.keys()];
