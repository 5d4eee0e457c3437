import type { ImageDraft } from '../src/core/image.ts';
import type { ContainerConfig, HistoryEntry, ImageConfig } from '../src/oci/image-config.ts';
import type { Platform } from '../src/oci/platform.ts';
import type { PlainConfig, StageState } from './instruction.ts';
import { PersistentList, PersistentMap } from './persistent.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const HISTORY_COMMENT = 'buildkit.dockerfile.v0';

/** A stage on nothing: `FROM scratch`. */
export function scratchState(platform: Platform): StageState {
  const imageEnv = PersistentMap.of([['PATH', DEFAULT_PATH]]);
  return {
    root: undefined,
    bases: [],
    platform,
    imagePlatform: platform,
    author: undefined,
    config: { WorkingDir: '/' },
    imageEnv,
    scope: imageEnv,
    args: PersistentMap.of(),
    labels: PersistentMap.of(),
    ports: PersistentMap.of(),
    volumes: PersistentMap.of(),
    onBuild: PersistentList.of(),
    history: PersistentList.of(),
    step: 0,
    last: {},
    workdir: 'inherited',
  };
}

/** A stage on an image: its config and history are the start; its triggers have had their turn. */
export function imageState(image: ImageConfig, platform: Platform): StageState {
  const { Env, Labels, ExposedPorts, Volumes, OnBuild: _, ...config } = image.config;
  const env = PersistentMap.of((Env ?? []).map(splitEnv));
  const imageEnv = env.has('PATH') ? env : env.with('PATH', DEFAULT_PATH);
  return {
    ...scratchState(platform),
    imagePlatform: platformOf(image),
    author: image.author,
    config,
    imageEnv,
    scope: imageEnv,
    labels: PersistentMap.of(Object.entries(Labels ?? {})),
    ports: PersistentMap.of(keysOf(ExposedPorts)),
    volumes: PersistentMap.of(keysOf(Volumes)),
    history: PersistentList.of(image.history),
  };
}

/** A stage on another stage: all of it but its triggers. */
export function childState(base: StageState): StageState {
  return { ...base, onBuild: PersistentList.of(), step: 0, last: {} };
}

/** `state` with one more entry of history; `layer` says whether the instruction made one. */
export function withHistory(state: StageState, createdBy: string, layer: 'layer' | 'empty'): StageState {
  const entry: HistoryEntry = {
    created_by: createdBy,
    comment: HISTORY_COMMENT,
    ...(layer === 'empty' && { empty_layer: true }),
  };
  return { ...state, history: state.history.with(entry) };
}

/** `state` with members of the config replaced; `undefined` removes one. */
export function withConfig(
  state: StageState,
  change: { readonly [K in keyof PlainConfig]?: PlainConfig[K] | undefined },
): StageState {
  const config = Object.fromEntries(
    Object.entries({ ...state.config, ...change }).filter(([, value]) => value !== undefined),
  );
  return { ...state, config };
}

/** The directory that relative paths start from. */
export function workingDirectory(state: StageState): string {
  const directory = state.config.WorkingDir;
  return directory === undefined || directory === '' ? '/' : directory;
}

/** The image that the stage stands for. */
export function draftOf(
  state: StageState,
  o: { readonly labels: ReadonlyMap<string, string>; readonly platform: Platform },
): ImageDraft {
  const labels = Object.fromEntries([...state.labels.entries(), ...o.labels]);
  const ports = emptyObjects(state.ports);
  const volumes = emptyObjects(state.volumes);
  const onBuild = state.onBuild.toArray();
  const config: ContainerConfig = {
    ...state.config,
    Env: [...state.imageEnv.entries()].map(([name, value]) => `${name}=${value}`),
    ...(Object.keys(labels).length > 0 && { Labels: labels }),
    ...(ports !== undefined && { ExposedPorts: ports }),
    ...(volumes !== undefined && { Volumes: volumes }),
    ...(onBuild.length > 0 && { OnBuild: onBuild }),
  };
  const { author } = state;
  return {
    config: { ...(author !== undefined && { author }), ...o.platform, config },
    history: state.history.toArray(),
  };
}

/** What the image runs on. */
export function platformOf(image: ImageConfig): Platform {
  return {
    os: image.os,
    architecture: image.architecture,
    ...(image.variant !== undefined && { variant: image.variant }),
    ...(image['os.version'] !== undefined && { 'os.version': image['os.version'] }),
    ...(image['os.features'] !== undefined && { 'os.features': image['os.features'] }),
  };
}

function splitEnv(entry: string): readonly [string, string] {
  const equals = entry.indexOf('=');
  return equals === -1 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

function keysOf(record: Readonly<Record<string, unknown>> | undefined): readonly (readonly [string, true])[] {
  return Object.keys(record ?? {}).map((key) => [key, true] as const);
}

function emptyObjects(keys: PersistentMap<true>): Record<string, Record<string, never>> | undefined {
  const names = [...keys.entries()].map(([key]) => key);
  return names.length === 0 ? undefined : Object.fromEntries(names.map((key) => [key, {}]));
}
