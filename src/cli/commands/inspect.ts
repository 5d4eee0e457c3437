import { formatPlatform } from '../../oci/platform.ts';
import type { ImageInspection, PlatformInspection } from '../../store-handle.ts';
import type { CommandModule } from '../command.ts';
import { parseFlags } from '../flag.ts';
import { formatSize } from '../format-size.ts';
import { cleanText } from '../control-sequences.ts';
import { formatTable } from '../format-table.ts';
import { formatJson, listFlags, type ListFlags } from '../list-format.ts';

/** `tsbuild inspect`: everything about images, as JSON unless a table is asked for. */
export const inspectCommand: CommandModule = {
  flags: listFlags,
  operands: { min: 1, max: Infinity },
  run: async ({ operands, raw, io, store, loadApi }) => {
    const { format = 'json' } = parseFlags<ListFlags>(listFlags, raw, io);
    const api = await loadApi();
    await using handle = await api.openStore(store);
    const inspections = await Promise.all(operands.map((reference) => handle.inspect(reference)));
    io.stdout.write(format === 'json' ? formatJson(inspections) : inspections.map(formatInspection).join('\n'));
    return 0;
  },
};

function formatInspection({ reference, image, platforms }: ImageInspection): string {
  const head = rows([
    ['Name', reference],
    ['Digest', image.digest],
    ['Media type', image.mediaType],
  ]);
  return [head, ...platforms.map(formatPlatformImage)].join('\n');
}

function formatPlatformImage({ manifest, configDigest, config, layers, platform }: PlatformInspection): string {
  const { config: run } = config;
  const size = layers.reduce((sum, layer) => sum + layer.size, 0);
  const facts: (readonly [string, string | undefined])[] = [
    ['Platform', platform === '' ? formatPlatform(config) : platform],
    ['Manifest', manifest.digest],
    ['Image ID', configDigest],
    ['Created', config.created],
    ['Size', `${formatSize(size)} in ${layers.length} ${layers.length === 1 ? 'layer' : 'layers'}`],
    ['User', run.User],
    ['Working dir', run.WorkingDir],
    ['Entrypoint', run.Entrypoint === undefined ? undefined : JSON.stringify(run.Entrypoint)],
    ['Command', run.Cmd === undefined ? undefined : JSON.stringify(run.Cmd)],
    ['Ports', Object.keys(run.ExposedPorts ?? {}).join(' ')],
    ['Volumes', Object.keys(run.Volumes ?? {}).join(' ')],
    ...(run.Env ?? []).map((entry) => ['Env', entry] as const),
    ...Object.entries(run.Labels ?? {}).map(([key, value]) => ['Label', `${key}=${value}`] as const),
  ];
  const table = formatTable(
    [
      { title: 'LAYER', cell: (layer) => layer.digest },
      { title: 'SIZE', align: 'right', cell: (layer) => formatSize(layer.size) },
      { title: 'MEDIA TYPE', cell: (layer) => layer.mediaType },
    ],
    layers,
  );
  return `${rows(facts)}\n${table}`;
}

function rows(facts: readonly (readonly [string, string | undefined])[]): string {
  return facts
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([key, value]) => `${`${key}:`.padEnd(13)} ${cleanText(value ?? '')}\n`)
    .join('');
}
