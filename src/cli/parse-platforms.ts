import { formatPlatformFull, hostPlatform, normalizePlatform, parsePlatform } from '../oci/platform.ts';
import { usageError } from './usage-error.ts';

/** Platforms in their order and normal spelling, each once; `local` is this machine's. */
export function parsePlatforms(texts: readonly string[]): readonly string[] {
  const platforms = texts.map((text) => {
    const platform = text === 'local' ? hostPlatform() : parsePlatform(text);
    if (platform === undefined) {
      throw usageError(
        `--platform: invalid platform ${JSON.stringify(text)}`,
        'write OS/ARCHITECTURE[/VARIANT]: linux/arm64',
      );
    }
    return formatPlatformFull(normalizePlatform(platform));
  });
  return [...new Set(platforms)];
}
