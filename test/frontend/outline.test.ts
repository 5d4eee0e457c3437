import { describe, expect, it } from 'vitest';
import { ignoreFileCandidates } from '../../frontend/ignore-file.ts';
import { outline, targets } from '../../frontend/outline.ts';
import { parseText } from './support/lowering.ts';
import { requestOf } from './support/request.ts';

const text = `# V of the base
ARG V=1
ARG W=$V.2
ARG UNUSED
# base is below
FROM x:$V AS base
ARG A
RUN --mount=type=secret,id=s --mount=type=ssh a
FROM other AS lost
ARG LOST
# out is the result
FROM --platform=$BUILDPLATFORM base AS out
# B is local
ARG B=$W W
RUN --mount=type=secret,id=s,required --mount=type=secret,target=/t/u --mount=type=ssh,id=k b
RUN --mount=type=cache,target=/c/ --mount=type=cache,id=id-$B-$E,target=d,sharing=locked --mount=type=cache,target=/c c
`;
const { dockerfile } = parseText(text);

describe('outline', () => {
  it('outline: lists all targets', () => {
    expect(targets(dockerfile)).toMatchObject([
      { name: 'base', description: 'is below', base: 'x:$V', default: 'no', range: { start: { line: 6 } } },
      { name: 'lost', base: 'other', default: 'no' },
      { name: 'out', description: 'is the result', base: 'base', platform: '$BUILDPLATFORM', default: 'yes' },
    ]);
  });

  it('outline: lists what the target and the stages below it can be given', () => {
    const found = outline(dockerfile, requestOf({ buildArgs: new Map([['A', 'given']]) }));
    expect(found?.target.name).toBe('out');
    expect(found?.args.map(({ name, value, description }) => [name, value, description])).toEqual([
      ['V', '1', 'of the base'],
      ['W', '1.2', undefined],
      ['A', 'given', undefined],
      ['B', '1.2', 'is local'],
    ]);
    expect(found?.secrets.map(({ id, presence }) => [id, presence])).toEqual([
      ['s', 'required'],
      ['u', 'optional'],
    ]);
    expect(found?.ssh.map(({ id }) => id)).toEqual(['default', 'k']);
    expect(found?.caches).toMatchObject([
      { id: '/c', target: '/c/', sharing: 'shared', range: { start: { line: 16 } } },
      { id: 'id-1.2-$E', target: 'd', sharing: 'locked' },
    ]);
    expect(outline(dockerfile, requestOf({ target: 'nowhere' }))).toBeUndefined();
    expect(outline(dockerfile, requestOf({ target: 'lost' }))?.args.map(({ name }) => name)).toEqual(['LOST']);
  });
});

describe('ignore-file', () => {
  it('ignore-file: the Dockerfile’s own comes first', () => {
    expect(ignoreFileCandidates('sub/My.Dockerfile')).toEqual([
      { relativeTo: 'dockerfile', path: 'sub/My.Dockerfile.dockerignore' },
      { relativeTo: 'context', path: '.containerignore' },
      { relativeTo: 'context', path: '.dockerignore' },
    ]);
  });
});
