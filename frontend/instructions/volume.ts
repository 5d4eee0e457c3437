import { Flaw } from '../flaw.ts';
import { formatList } from '../go-format.ts';
import type { InstructionDef } from '../instruction.ts';
import { expandWord } from '../stage-expand.ts';
import { withHistory } from '../stage-state.ts';
import { parseListForm } from '../syntax/words.ts';

interface VolumeNode {
  readonly paths: readonly string[];
}

/** VOLUME: mount points of the container. Nothing is made on disk, and later changes below them are kept. */
export const volume: InstructionDef<VolumeNode> = {
  keyword: 'VOLUME',
  flags: {},
  heredocs: 'refused',
  step: 'no',
  parse: ({ text }) => {
    const paths = parseListForm(text).map((path) => path.trim());
    if (paths.length === 0) throw new Flaw('MissingArgument', 'VOLUME requires at least one argument');
    const empty = paths.indexOf('');
    if (empty !== -1) throw emptyPath(empty);
    return { paths };
  },
  lower: (node, state, context) => {
    const paths = node.paths.map((path) => expandWord(path, state, context));
    const empty = paths.indexOf('');
    if (empty !== -1) throw emptyPath(empty);
    const volumes = paths.reduce((known, path) => known.with(path, true), state.volumes);
    return withHistory({ ...state, volumes }, `VOLUME ${formatList(paths)}`, 'empty');
  },
};

function emptyPath(index: number): Flaw {
  return new Flaw('EmptyVolume', 'VOLUME specified can not be an empty string', { place: { kind: 'argument', index } });
}
