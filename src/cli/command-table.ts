import type { CommandEntry } from './command.ts';

/** All commands, in the order of help. The first one is meant where none is named. */
export const commandTable: readonly CommandEntry[] = [
  {
    name: 'build',
    usage: '[options] PATH | URL | -',
    summary: 'build an image from a Dockerfile',
    load: async () => (await import('./commands/build.ts')).buildCommand,
  },
  {
    name: 'check',
    usage: '[options] [PATH]',
    summary: 'find flaws in a Dockerfile without building it',
    load: async () => (await import('./commands/check.ts')).checkCommand,
  },
  {
    name: 'images',
    usage: '[options] [NAME]',
    summary: 'list the images in the store',
    load: async () => (await import('./commands/images.ts')).imagesCommand,
  },
  {
    name: 'inspect',
    usage: '[options] IMAGE…',
    summary: 'show what an image is made of',
    load: async () => (await import('./commands/inspect.ts')).inspectCommand,
  },
  {
    name: 'history',
    usage: '[options] IMAGE',
    summary: 'show the instructions and layers of an image',
    load: async () => (await import('./commands/history.ts')).historyCommand,
  },
  {
    name: 'tag',
    usage: 'IMAGE NAME[:TAG]…',
    summary: 'give an image another name',
    load: async () => (await import('./commands/tag.ts')).tagCommand,
  },
  {
    name: 'rmi',
    usage: '[options] IMAGE…',
    summary: 'remove names, and images that have none left',
    load: async () => (await import('./commands/rmi.ts')).rmiCommand,
  },
  {
    name: 'pull',
    usage: '[options] NAME[:TAG]',
    summary: 'fetch an image from its registry',
    load: async () => (await import('./commands/pull.ts')).pullCommand,
  },
  {
    name: 'push',
    usage: '[options] NAME[:TAG]',
    summary: 'send an image to its registry',
    load: async () => (await import('./commands/push.ts')).pushCommand,
  },
  {
    name: 'load',
    usage: '[options] [FILE]',
    summary: 'take in images from a docker or OCI archive, or a layout directory',
    load: async () => (await import('./commands/load.ts')).loadCommand,
  },
  {
    name: 'save',
    usage: '[options] IMAGE…',
    summary: 'write images to an archive',
    load: async () => (await import('./commands/save.ts')).saveCommand,
  },
  {
    name: 'du',
    usage: '[options]',
    summary: 'show what takes space in the store',
    load: async () => (await import('./commands/du.ts')).duCommand,
  },
  {
    name: 'prune',
    usage: '[options]',
    summary: 'free the space of what is no longer needed',
    load: async () => (await import('./commands/prune.ts')).pruneCommand,
  },
  {
    name: 'version',
    usage: '[options]',
    summary: 'show versions',
    load: async () => (await import('./commands/version.ts')).versionCommand,
  },
];

/** The command of that name. */
export function lookupCommand(name: string): CommandEntry | undefined {
  return commandTable.find((entry) => entry.name === name);
}
