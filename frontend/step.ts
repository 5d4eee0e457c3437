import { formatPlatform, normalizePlatform, parsePlatform, type Platform } from '../src/oci/platform.ts';
import type { VertexMeta } from '../src/core/graph.ts';
import type { StageFrame, LowerContext, StageState } from './instruction.ts';
import { expand, type LookupVariable } from './expand.ts';
import { Flaw } from './flaw.ts';
import type { PersistentMap } from './persistent.ts';

/** What people see of the step that begins now: `[build 2/5] RUN make`. `text` is the step without its prefix. */
export function stepMeta(text: string, state: StageState, context: LowerContext): VertexMeta {
  const { stage, origin, request } = context;
  const name = stepName(origin === 'trigger' ? `ONBUILD ${text}` : text, {
    stage,
    number: state.step + 1,
    ...(request.multiPlatform === 'yes' && { platform: platformPrefix(state.platform, state.scope) }),
  });
  return {
    name,
    location: context.instruction.range,
    stage: stage.id,
    ...(stage.cache === 'ignore' && { ignoreCache: true }),
  };
}

/** `[platform stage n/total] text`; without prefix where the stage has no steps. */
export function stepName(
  text: string,
  o: { readonly stage: StageFrame; readonly number: number; readonly platform?: string },
): string {
  if (o.stage.steps === 0) return text;
  const total = String(o.stage.steps);
  const parts = [...(o.platform === undefined ? [] : [o.platform]), ...(o.stage.label === '' ? [] : [o.stage.label])];
  return `[${[...parts, `${String(o.number).padStart(total.length)}/${total}`].join(' ')}] ${text}`;
}

/** The instruction's own text with its variables replaced, for people; as written where that fails. */
export function displayText(
  text: string,
  lookup: LookupVariable,
  o: { readonly context: LowerContext; readonly quotes: 'remove' | 'keep'; readonly unset: 'empty' | 'keep' },
): string {
  const space = text.search(/\s/);
  const upper = space === -1 ? text.toUpperCase() : text.slice(0, space).toUpperCase() + text.slice(space);
  try {
    const { escape, fuel, request } = o.context;
    const { compat } = request;
    return expand(upper, lookup, { escape, quotes: o.quotes, unset: o.unset, fuel, compat }).text;
  } catch (error) {
    if (error instanceof Flaw) return upper;
    throw error;
  }
}

/** The stage's platform, and the one that it compiles for where the variables tell of another. */
function platformPrefix(platform: Platform, scope: PersistentMap<string>): string {
  const target = targetOf(scope);
  if (target === undefined) return formatPlatform(platform);
  const wanted = normalizePlatform({
    ...target,
    os: target.os === '' ? platform.os : target.os,
    architecture: target.architecture === '' ? platform.architecture : target.architecture,
  });
  if (wanted.os !== platform.os) return `${formatPlatform(platform)}->${formatPlatform(wanted)}`;
  if (wanted.architecture === platform.architecture) return formatPlatform(platform);
  const variant = wanted.variant === undefined ? '' : `/${wanted.variant}`;
  return `${formatPlatform(platform)}->${wanted.architecture}${variant}`;
}

function targetOf(scope: PersistentMap<string>): Platform | undefined {
  const whole = scope.lookup('TARGETPLATFORM');
  const parsed = whole === undefined ? undefined : parsePlatform(whole);
  if (parsed !== undefined) return parsed;
  const os = scope.lookup('TARGETOS');
  const architecture = scope.lookup('TARGETARCH');
  const variant = scope.lookup('TARGETVARIANT');
  if (os === undefined && architecture === undefined && variant === undefined) return undefined;
  return {
    os: os ?? '',
    architecture: architecture ?? '',
    ...(variant !== undefined && variant !== '' && { variant }),
  };
}
