import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { SlotPool } from '../../src/core/concurrency.ts';
import type { AssembledImage, AssembleRequest } from '../../src/core/image.ts';
import type { LayerId } from '../../src/core/snapshot.ts';
import { type Assembler, openAssembler } from '../../src/export/assemble.ts';
import { openStore, type OpenStore, temporaryDirectory } from './store-rig.ts';
import { type SyntheticLayers, syntheticLayers } from './synthetic-layers.ts';

/** A store, layers that exist only as literals, and an assembler over both. */
export interface ExportRig extends OpenStore {
  /** A directory for outputs. */
  readonly work: string;
  readonly layers: SyntheticLayers;
  readonly assembler: Assembler;
  /** Assembles an image of two layers and three instructions; `o` changes the request. */
  assemble(o?: Partial<AssembleRequest>): Promise<AssembledImage>;
}

/** The name most tests give to their image. */
export const APP = 'docker.io/library/app:v1';

/** Opens a rig of its own. */
export async function openExportRig(): Promise<ExportRig> {
  const directory = await temporaryDirectory();
  const work = join(directory.path, 'work');
  mkdirSync(work);
  const store = await openStore(join(directory.path, 'store'));
  const layers = syntheticLayers();
  const stack: readonly LayerId[] = [
    layers.add('layer-1', { 'etc/motd': 'hello\n', 'usr/share/big': 'The quick brown fox. '.repeat(20_000) }),
    layers.add('layer-2', { 'etc/app.conf': 'x=1\n', 'etc/motd': null }),
  ];
  const assembler = openAssembler({ ...store, codec: layers, slots: new SlotPool(2) });
  return {
    ...store,
    work,
    layers,
    assembler,
    assemble: (o = {}) => assembler.assemble({ ...assembleRequest(stack), ...o }),
    [Symbol.asyncDispose]: async () => {
      await assembler[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** A plain request for this stack of two layers. */
export function assembleRequest(stack: readonly LayerId[]): AssembleRequest {
  return {
    draft: {
      config: { architecture: 'amd64', os: 'linux', config: { Env: ['PATH=/bin'], Cmd: ['/bin/app'] } },
      history: [
        { created_by: 'COPY . / # buildkit', comment: 'buildkit.dockerfile.v0' },
        { created_by: 'ENV A=1', comment: 'buildkit.dockerfile.v0', empty_layer: true },
        { created_by: 'RUN /bin/sh -c rm /etc/motd # buildkit', comment: 'buildkit.dockerfile.v0' },
      ],
    },
    stack,
    bases: [],
    compression: 'uncompressed',
    recompress: 'own',
    mediaTypes: 'oci',
    timestamps: 'keep',
    annotations: {},
  };
}
