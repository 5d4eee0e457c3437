/** What an image runs on (image-spec image-index.md#platform-object); property names as in the JSON. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
}

/** Tells which platforms can stand in for a wanted one. */
export interface PlatformMatcher {
  /** 0 for the wanted platform itself, higher for lesser substitutes, `undefined` for what cannot run. */
  rank(candidate: Platform): number | undefined;
}

const SYSTEMS = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos'.split(
    ' ',
  ),
);
const ARCHITECTURES = new Set(
  (
    '386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ' +
    'ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm'
  ).split(' '),
);
/** Node's names of architectures where they differ from Go's. */
const NODE_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', mipsel: 'mipsle' };
const COMPONENT = /^[A-Za-z0-9_.-]+$/;
const SYSTEM = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$/;

/** The platform that this process runs on. */
export function hostPlatform(): Platform {
  return normalizePlatform({ os: 'linux', architecture: NODE_ARCHITECTURES[process.arch] ?? process.arch });
}

/**
 * The platform that `text` specifies as containerd reads it: `os`, `arch`, `os/arch` or `os/arch/variant`, the os with an optional
 * version and features (`windows(10.0.17763+win32k)/amd64`). What is missing is the host's. Common other names are translated
 * (`x86_64`, `aarch64`, `armhf`, `i386`), but `arm` stays without variant: see `normalizePlatform`. `undefined` if it is none.
 */
export function parsePlatform(text: string): Platform | undefined {
  const [system = '', ...rest] = text.split('/');
  const match = SYSTEM.exec(system);
  if (match === null || rest.length > 2 || !rest.every((part) => COMPONENT.test(part))) return undefined;
  const os = parseSystem(match);
  if (os === undefined) return undefined;
  const [architecture, variant] = rest;
  if (architecture !== undefined) return { ...os, ...parseArchitecture(architecture, variant) };
  const host = hostPlatform();
  if (SYSTEMS.has(os.os)) return withoutDefaultArm({ ...host, ...os });
  const alone = parseArchitecture(system, undefined);
  return ARCHITECTURES.has(alone.architecture) ? { os: host.os, ...alone } : undefined;
}

/** The short form, `os/arch[/variant]`. */
export function formatPlatform(platform: Platform): string {
  return join(platform.os, platform);
}

/** The form with the os version and features, which `parsePlatform` reads back. */
export function formatPlatformFull(platform: Platform): string {
  const features = (platform['os.features'] ?? []).toSorted().map((feature) => `+${encodeURIPart(feature)}`);
  const options = encodeURIPart(platform['os.version'] ?? '') + features.join('');
  return join(options === '' ? platform.os : `${platform.os}(${options})`, platform);
}

/** The one spelling of `platform` among all that mean the same: Go's names, `arm` with its variant, amd64/v1 and arm64/v8 without. */
export function normalizePlatform(platform: Platform): Platform {
  const { variant: _, 'os.features': features, ...rest } = platform;
  return {
    ...rest,
    os: normalizeSystem(platform.os),
    ...normalizeArchitecture(platform.architecture, platform.variant ?? ''),
    ...(features !== undefined && features.length > 0 && { 'os.features': [...new Set(features)].toSorted() }),
  };
}

/**
 * A matcher with containerd's order of substitutes: the platform itself, lower variants downwards, then the 32-bit architecture that
 * the processor also runs (amd64 → 386, arm64 → arm). `unknown/unknown`, as attestations have it, never matches.
 */
export function platformMatcher(wanted: Platform): PlatformMatcher {
  const features = new Set(wanted['os.features']);
  const order = substitutes(normalizePlatform(wanted)).map(formatPlatform);
  return {
    rank: (candidate) => {
      if (candidate.os === 'unknown' || candidate.architecture === 'unknown') return undefined;
      if (candidate['os.features']?.some((feature) => !features.has(feature)) === true) return undefined;
      const at = order.indexOf(formatPlatform(normalizePlatform(candidate)));
      return at === -1 ? undefined : at;
    },
  };
}

/**
 * The best match among `candidates`, the first of equals. One without a platform is taken only where nothing else matches:
 * its image config has to tell.
 */
export function selectPlatform<T extends { readonly platform?: Platform }>(
  candidates: readonly T[],
  wanted: Platform,
): T | undefined {
  const matcher = platformMatcher(wanted);
  let best: { candidate: T; rank: number } | undefined;
  for (const candidate of candidates) {
    const rank = candidate.platform === undefined ? Infinity : matcher.rank(candidate.platform);
    if (rank !== undefined && (best === undefined || rank < best.rank)) best = { candidate, rank };
  }
  return best?.candidate;
}

function parseSystem([, name = '', version = '', features = '']: readonly string[]):
  Omit<Platform, 'architecture'> | undefined {
  const decoded = [version, ...features.split('+').slice(1)].map(decodeURIPart);
  if (!decoded.every((option) => option !== undefined)) return undefined;
  const [osVersion = '', ...osFeatures] = decoded;
  return {
    os: normalizeSystem(name),
    ...(osVersion !== '' && { 'os.version': osVersion }),
    ...(osFeatures.length > 0 && { 'os.features': osFeatures }),
  };
}

function parseArchitecture(name: string, variant: string | undefined): Pick<Platform, 'architecture' | 'variant'> {
  const parsed = normalizeArchitecture(name, variant ?? '');
  if (variant === undefined) return withoutDefaultArm(parsed);
  // A variant that was asked for explicitly stays visible.
  return parsed.architecture === 'arm64' && parsed.variant === undefined ? { ...parsed, variant: 'v8' } : parsed;
}

function withoutDefaultArm<P extends Pick<Platform, 'architecture' | 'variant'>>(platform: P): P {
  const { variant, ...rest } = platform;
  return platform.architecture === 'arm' && variant === 'v7' ? (rest as P) : platform;
}

function normalizeSystem(name: string): string {
  const lower = name.toLowerCase();
  return lower === 'macos' ? 'darwin' : lower;
}

function normalizeArchitecture(name: string, variantText: string): Pick<Platform, 'architecture' | 'variant'> {
  const architecture = name.toLowerCase();
  const variant = variantText.toLowerCase();
  switch (architecture) {
    case 'i386':
      return { architecture: '386' };
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return withVariant('amd64', variant === 'v1' ? '' : variant);
    case 'aarch64':
    case 'arm64':
      return withVariant('arm64', variant === '8' || variant === 'v8' ? '' : variant);
    case 'armhf':
      return { architecture: 'arm', variant: 'v7' };
    case 'armel':
      return { architecture: 'arm', variant: 'v6' };
    case 'arm':
      return withVariant('arm', variant === '' ? 'v7' : /^[5-8]$/.test(variant) ? `v${variant}` : variant);
    default:
      return withVariant(architecture, variant);
  }
}

function withVariant(architecture: string, variant: string): Pick<Platform, 'architecture' | 'variant'> {
  return variant === '' ? { architecture } : { architecture, variant };
}

/** All that runs where `wanted`, which is normalised, runs; best first. */
function substitutes(wanted: Platform): readonly Platform[] {
  const { os, architecture, variant = '' } = wanted;
  const lower = (arch: string, variants: readonly string[]): Platform[] =>
    variants.map((v) => normalizePlatform({ os, architecture: arch, variant: v }));
  switch (architecture) {
    case 'amd64':
      return [wanted, ...lower('amd64', below(variant, 1)), { os, architecture: '386' }];
    case 'arm':
      return [wanted, ...lower('arm', below(variant, 5))];
    case 'arm64':
      return [wanted, ...lower('arm64', arm64Below(variant)), ...lower('arm', ['v8', 'v7', 'v6', 'v5'])];
    default:
      return [wanted];
  }
}

/** `v4` down to `v<floor>`, without `variant` itself. */
function below(variant: string, floor: number): string[] {
  const version = /^v(\d{1,2})$/.exec(variant)?.[1];
  return version === undefined ? [] : countDown(Number(version) - 1, floor).map((v) => `v${v}`);
}

/** Arm 9.x runs all of 9.0 … 9.x and of 8.0 … 8.(x+5). */
function arm64Below(variant: string): string[] {
  const [, major, minorText = '0'] = /^v([89])(?:\.(\d))?$/.exec(variant) ?? [];
  const minor = Number(minorText);
  if (major === '9') return [...minorsBelow(9, minor), `v8.${minor + 5}`, ...minorsBelow(8, minor + 5)];
  return major === '8' ? minorsBelow(8, minor) : [];
}

function minorsBelow(major: number, minor: number): string[] {
  return countDown(minor - 1, 0).map((m) => (m === 0 ? `v${major}` : `v${major}.${m}`));
}

function countDown(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, from - to + 1) }, (_, i) => from - i);
}

function join(system: string, { architecture, variant = '' }: Platform): string {
  return system === '' ? 'unknown' : [system, architecture, variant].filter((part) => part !== '').join('/');
}

function encodeURIPart(text: string): string {
  return text.replaceAll(/[%+()/]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decodeURIPart(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
