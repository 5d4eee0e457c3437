import type { BuildResult, Output } from '../build-request.ts';
import { familiarReference, parseReference } from '../oci/reference.ts';
import { formatSize } from './format-size.ts';
import { formatSeconds } from './format-time.ts';
import type { Palette } from './palette.ts';

/** What the summary tells besides the result. */
export interface SummaryOptions {
  readonly elapsedMs: number;
  readonly outputs: readonly Output[];
  readonly palette: Palette;
}

/** The lines that end a successful build: names, digest, size and layers of each image, where else it went, time and steps. */
export function renderSummary(result: BuildResult, { elapsedMs, outputs, palette }: SummaryOptions): string {
  const { total, cached, ran } = result.steps;
  const several = result.images.length > 1;
  const rows: (readonly [string, string])[] = [
    ...result.names.map((name) => ['image', palette('bold', familiarName(name))] as const),
    ...(result.digest === undefined ? [] : [['digest', result.digest] as const]),
    ...result.images.flatMap((image) => {
      if (image.manifestDigest === undefined) return [];
      const size = image.layers.reduce((sum, layer) => sum + layer.size, 0);
      const layers = `${image.layers.length} ${image.layers.length === 1 ? 'layer' : 'layers'}`;
      return [['size', `${formatSize(size)} in ${layers}${several ? `, ${image.platform}` : ''}`] as const];
    }),
    ...outputs.flatMap((output) => describe(output).map((text) => ['output', text] as const)),
    ['time', `${formatSeconds(elapsedMs)}, ${total} ${total === 1 ? 'step' : 'steps'}: ${cached} cached, ${ran} ran`],
  ];
  return rows.map(([key, value]) => `${palette('dim', key.padEnd(6))}  ${value}\n`).join('');
}

/** The short form of a full name, as people type it, with its tag. */
export function familiarName(name: string): string {
  const reference = parseReference(name);
  return reference === undefined ? name : familiarReference(reference);
}

function describe(output: Output): readonly string[] {
  switch (output.type) {
    case 'image':
      return output.push === 'yes' ? ['pushed'] : [];
    case 'cacheonly':
      return [];
    case 'oci':
    case 'docker':
    case 'local':
    case 'tar':
      return [`${output.type}: ${output.dest === '-' ? 'standard output' : output.dest}`];
  }
}
