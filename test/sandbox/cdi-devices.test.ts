import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCdiDevices } from '../../sandbox/cdi-devices.ts';
import type { StepDevices } from '../../src/core/devices.ts';
import { temporaryDirectory } from '../support/store-rig.ts';

const NULL = { path: '/dev/gadget', hostPath: '/dev/null' };

function specOf(kind: string, devices: Readonly<Record<string, object>>, containerEdits?: object): object {
  const listed = Object.entries(devices).map(([name, edits]) => ({ name, containerEdits: edits }));
  return { cdiVersion: '0.6.0', kind, devices: listed, ...(containerEdits !== undefined && { containerEdits }) };
}

/** A spec of one device that only sets a variable. */
function withVariable(variable: string): object {
  return specOf('v.com/gadget', { one: { env: [variable] } });
}

/** Finds devices by the specs of these files, `a/x.json` being one of the first directory and `b/…` of the second. */
async function find(
  files: Readonly<Record<string, object | string>>,
  ...wanted: readonly string[]
): Promise<StepDevices> {
  await using folder = await temporaryDirectory();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(folder.path, dirname(name)), { recursive: true });
    await writeFile(join(folder.path, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  const devices = openCdiDevices([join(folder.path, 'a'), join(folder.path, 'b')]);
  return await devices.find(
    wanted.map((text) => ({ name: text.replace('?', ''), presence: text.endsWith('?') ? 'optional' : 'required' })),
  );
}

describe('CDI devices', () => {
  it('a device: gives its node, files, variables and groups', async () => {
    const edits = {
      env: ['GADGET=one'],
      deviceNodes: [{ ...NULL, permissions: 'rw', fileMode: 0o640, uid: 5, gid: 6, type: 'c' }],
      mounts: [{ hostPath: '/etc/hostname', containerPath: '/etc/gadget', options: ['ro', 'nosuid', 'bind'] }],
      additionalGids: [44],
      hooks: [],
    };
    expect(await find({ 'a/v.json': specOf('v.com/gadget', { one: edits }) }, 'v.com/gadget=one')).toEqual({
      names: ['v.com/gadget=one'],
      mounts: [
        {
          type: 'device',
          source: '/dev/null',
          destination: '/dev/gadget',
          kind: 'character',
          major: 1,
          minor: 3,
          access: { read: true, write: true, mknod: false },
          mode: 0o640,
          uid: 5,
          gid: 6,
        },
        { type: 'bind', source: '/etc/hostname', path: '', destination: '/etc/gadget', access: 'read-only' },
      ],
      env: ['GADGET=one'],
      gids: [44],
    });
  });

  it('selection: by name, the first of a class, all of a class; each once, with its file’s edits before it', async () => {
    const both = specOf('v.com/gadget', { one: { env: ['A=1'] }, two: { env: ['B=2'] } }, { env: ['FILE=x'] });
    const files = { 'a/v.json': both, 'a/w.json': specOf('v.com/other', { one: { env: ['C=3'] } }) };
    const chosen = async (...wanted: readonly string[]): Promise<readonly string[]> =>
      (await find(files, ...wanted)).env;
    expect(await chosen('v.com/gadget=two')).toEqual(['FILE=x', 'B=2']);
    expect(await chosen('v.com/gadget')).toEqual(['FILE=x', 'A=1']);
    expect(await chosen('v.com/gadget=*')).toEqual(['FILE=x', 'A=1', 'B=2']);
    expect(await chosen('v.com/gadget=two', 'v.com/gadget=*', 'v.com/other=one')).toEqual([
      'FILE=x',
      'B=2',
      'A=1',
      'C=3',
    ]);
    expect(await chosen()).toEqual([]);
  });

  it('a later directory: its devices take the place of those of the same name', async () => {
    expect(
      (await find({ 'a/v.json': withVariable('A=a'), 'b/z.json': withVariable('A=b') }, 'v.com/gadget=one')).env,
    ).toEqual(['A=b']);
  });

  it('two files of one directory: the first counts, and the second is told of', async () => {
    const files = { 'a/a.json': withVariable('A=a'), 'a/b.json': withVariable('A=b') };
    expect((await find(files, 'v.com/gadget=one')).env).toEqual(['A=a']);
    await expect(find(files, 'v.com/gadget=two')).rejects.toMatchObject({
      hint: expect.stringMatching(/b\.json: .*a\.json has v\.com\/gadget=one as well/) as string,
    });
  });

  it('YAML: says the same as JSON', async () => {
    const yaml = `---
cdiVersion: "0.5.0"   # as nvidia-ctk writes it
kind: v.com/gadget
containerEdits:
  env:
  - FILE=x
devices:
- containerEdits:
    deviceNodes:
    - {path: /dev/gadget, hostPath: /dev/null}
  name: "0"
`;
    const found = await find({ 'a/v.yaml': yaml }, 'v.com/gadget=0');
    expect(found).toMatchObject({
      env: ['FILE=x'],
      mounts: [{ type: 'device', destination: '/dev/gadget', minor: 3 }],
    });
  });

  it('a node behind a link: is the device that it leads to', async () => {
    await using folder = await temporaryDirectory();
    await symlink('/dev/zero', join(folder.path, 'by-path'));
    const edits = { deviceNodes: [{ path: '/dev/gadget', hostPath: join(folder.path, 'by-path') }] };
    const found = await find({ 'a/v.json': specOf('v.com/gadget', { one: edits }) }, 'v.com/gadget=one');
    expect(found.mounts).toMatchObject([{ source: '/dev/zero', major: 1, minor: 5 }]);
  });

  it('what is not there: is left out, or an error that names what is, and what could not be read', async () => {
    const files = {
      'a/good.json': specOf('v.com/gadget', { one: { env: ['A=1'] } }),
      'a/broken.json': '{',
      'a/broken.yaml': 'a: [b',
      'a/old.json': { ...specOf('v.com/gadget', { x: {} }), cdiVersion: '7.0.0' },
      'a/kind.json': specOf('gadget', { x: {} }),
      'a/relative.json': specOf('v.com/rel', { x: { deviceNodes: [{ path: 'dev/x' }] } }),
      'a/ignored.txt': 'x',
    };
    expect((await find(files, 'v.com/gadget=two?', 'other.com/x?')).names).toEqual([]);
    expect((await find(files, 'v.com/gadget=one')).names).toEqual(['v.com/gadget=one']);
    const failure = find(files, 'v.com/gadget=two');
    await expect(failure).rejects.toMatchObject({ code: 'DEVICE_NOT_FOUND', detail: { known: ['v.com/gadget=one'] } });
    await expect(failure).rejects.toThrow(/^the required device v\.com\/gadget=two is in no CDI spec of /);
    const { hint } = (await failure.catch((error: unknown) => error)) as { hint: string };
    for (const part of [
      'broken.json: ',
      'broken.yaml: ',
      'old.json: cdiVersion: this version of CDI is not known',
      'kind.json: kind: a kind is vendor/class',
      'relative.json: devices.0.containerEdits.deviceNodes.0.path: a path has to be absolute',
    ]) {
      expect(hint).toContain(part);
    }
    expect(await find({}, 'v.com/x?')).toEqual({ names: [], mounts: [], env: [], gids: [] });
  });

  it.each([
    [
      'hooks',
      { hooks: [{ hookName: 'createContainer', path: '/usr/bin/x' }] },
      'it needs hooks, which builds do not give',
    ],
    ['Intel RDT', { intelRdt: { closID: 'x' } }, 'it needs intelRdt'],
    [
      'a file system',
      { mounts: [{ hostPath: 'tmpfs', containerPath: '/x', type: 'tmpfs' }] },
      'a path has to be absolute',
    ],
    [
      'another type',
      { mounts: [{ hostPath: '/x', containerPath: '/x', type: 'tmpfs' }] },
      'it needs a mount of type tmpfs',
    ],
    ['what is no device', { deviceNodes: [{ path: '/etc/hostname' }] }, '/etc/hostname is no device'],
    ['a node that is gone', { deviceNodes: [{ path: '/dev/no-such' }] }, 'ENOENT'],
  ])('%s: is refused where it is wanted', async (_, edits, reason) => {
    const failure = find({ 'a/v.json': specOf('v.com/gadget', { one: edits }) }, 'v.com/gadget=one');
    const error = (await failure.catch((thrown: unknown) => thrown)) as { message: string; hint?: string };
    expect(`${error.message} ${error.hint ?? ''}`).toContain(reason);
  });
});
