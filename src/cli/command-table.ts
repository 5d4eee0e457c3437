import { buildCommand } from './commands/build.ts';
import { checkCommand } from './commands/check.ts';
import { imagesCommand } from './commands/images.ts';
import { inspectCommand } from './commands/inspect.ts';
import { historyCommand } from './commands/history.ts';
import { tagCommand } from './commands/tag.ts';
import { rmiCommand } from './commands/rmi.ts';
import { pullCommand } from './commands/pull.ts';
import { pushCommand } from './commands/push.ts';
import { loadCommand } from './commands/load.ts';
import { saveCommand } from './commands/save.ts';
import { stepsCommand } from './commands/steps.ts';
import { duCommand } from './commands/du.ts';
import { pruneCommand } from './commands/prune.ts';
import { cacheCommand } from './commands/cache.ts';
import { verifyStoreCommand } from './commands/verify-store.ts';
import { explainCommand } from './commands/explain.ts';
import { planCommand } from './commands/plan.ts';
import { doctorCommand } from './commands/doctor.ts';
import { versionCommand } from './commands/version.ts';
import type { CommandEntry } from './command.ts';

/** All commands, in the order of help. The first one is meant where none is named. */
export const commandTable: readonly CommandEntry[] = [
  {
    name: 'build',
    usage: '[options] PATH | URL | -',
    summary: 'build an image from a Dockerfile',
    module: buildCommand,
  },
  {
    name: 'check',
    usage: '[options] [PATH]',
    summary: 'find flaws in a Dockerfile without building it',
    module: checkCommand,
  },
  {
    name: 'explain',
    usage: '[options] [PATH]',
    summary: 'show why a build would run what it would run, without running it',
    module: explainCommand,
  },
  {
    name: 'plan',
    usage: '[options] [PATH]',
    summary: 'show what a build would do and how long it would take, without doing it',
    module: planCommand,
  },
  {
    name: 'images',
    usage: '[options] [NAME]',
    summary: 'list the images in the store',
    module: imagesCommand,
  },
  {
    name: 'inspect',
    usage: '[options] IMAGE…',
    summary: 'show what an image is made of',
    module: inspectCommand,
  },
  {
    name: 'history',
    usage: '[options] IMAGE',
    summary: 'show the instructions and layers of an image',
    module: historyCommand,
  },
  {
    name: 'tag',
    usage: 'IMAGE NAME[:TAG]…',
    summary: 'give an image another name',
    module: tagCommand,
  },
  {
    name: 'rmi',
    usage: '[options] IMAGE…',
    summary: 'remove names, and images that have none left',
    module: rmiCommand,
  },
  {
    name: 'pull',
    usage: '[options] NAME[:TAG]',
    summary: 'fetch an image from its registry',
    module: pullCommand,
  },
  {
    name: 'push',
    usage: '[options] NAME[:TAG]',
    summary: 'send an image to its registry',
    module: pushCommand,
  },
  {
    name: 'load',
    usage: '[options] [FILE]',
    summary: 'take in images from a docker or OCI archive, or a layout directory',
    module: loadCommand,
  },
  {
    name: 'save',
    usage: '[options] IMAGE…',
    summary: 'write images to an archive',
    module: saveCommand,
  },
  {
    name: 'steps',
    usage: '[options] [ls | freeze ID… | thaw ID… | kill ID…]',
    summary: 'show the steps that run, stop them for a while, let them go on, end them',
    module: stepsCommand,
  },
  {
    name: 'du',
    usage: '[options]',
    summary: 'show what takes space in the store',
    module: duCommand,
  },
  {
    name: 'cache',
    usage: 'mounts ls | rm ID… | export ID [-o FILE] | import ID [FILE]',
    summary: 'show, remove, save and bring back the directories of RUN --mount=type=cache',
    module: cacheCommand,
  },
  {
    name: 'prune',
    usage: '[options]',
    summary: 'free the space of what is no longer needed',
    module: pruneCommand,
  },
  {
    name: 'verify-store',
    usage: '[options]',
    summary: 'read the whole store and tell what is damaged',
    module: verifyStoreCommand,
  },
  {
    name: 'doctor',
    usage: '[options]',
    summary: 'show what this machine offers to builds, and how to get what is missing',
    module: doctorCommand,
  },
  {
    name: 'version',
    usage: '[options]',
    summary: 'show versions',
    module: versionCommand,
  },
];

/** The command of that name. */
export function lookupCommand(name: string): CommandEntry | undefined {
  return commandTable.find((entry) => entry.name === name);
}
