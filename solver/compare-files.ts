import type { FileChange } from '../src/core/explanation.ts';
import type { SelectedFile } from '../src/core/file-backend.ts';

/** The files of one selection, and the paths it was made with. */
export interface FileList {
  readonly paths: readonly string[];
  readonly files: readonly SelectedFile[];
}

/** What differs between two selections, by path; a directory counts where nothing below it tells the same. */
export function compareFiles(before: FileList, after: FileList): readonly FileChange[] {
  const [old, now] = [byPath(before), byPath(after)];
  const changes = [...new Set([...old.keys(), ...now.keys()])]
    .toSorted()
    .map((path) => compareFile(path, old.get(path), now.get(path)))
    .filter((change) => change.how.length > 0);
  const isDirectory = ({ path }: FileChange): boolean => (now.get(path) ?? old.get(path))?.type === 'directory';
  return changes.filter((change, index) => {
    const hasOwn = !change.how.includes('added') && !change.how.includes('removed');
    return hasOwn || !isDirectory(change) || changes[index + 1]?.path.startsWith(`${change.path}/`) !== true;
  });
}

function byPath({ paths, files }: FileList): ReadonlyMap<string, SelectedFile> {
  const roots = new Set(files.map(({ root }) => root.index)).size;
  return new Map(
    files.map((file) => {
      const top = roots === paths.length ? (paths[file.root.index] ?? '') : file.root.name;
      return [
        [...top.split('/'), ...file.path.split('/')].filter((name) => name !== '' && name !== '.').join('/') || '.',
        file,
      ];
    }),
  );
}

function compareFile(path: string, before: SelectedFile | undefined, after: SelectedFile | undefined): FileChange {
  if (before === undefined) return { path, how: ['added'] };
  if (after === undefined) return { path, how: ['removed'] };
  if (before.type !== after.type) return { path, how: ['type'], before: before.type, after: after.type };
  const how = [
    ...(before.content === after.content ? [] : (['content'] as const)),
    ...(before.mode === after.mode ? [] : (['mode'] as const)),
    ...(before.owner === after.owner ? [] : (['owner'] as const)),
  ];
  if (how.includes('mode')) return { path, how, before: octal(before.mode), after: octal(after.mode) };
  if (how.includes('owner')) return { path, how, before: before.owner, after: after.owner };
  return { path, how };
}

function octal(mode: number): string {
  return `0${(mode & 0o7777).toString(8)}`;
}
