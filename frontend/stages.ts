import { parsePlatform, formatPlatformFull, normalizePlatform, type Platform } from '../src/oci/platform.ts';
import { familiarReference, formatReference, parseReference } from '../src/oci/reference.ts';
import type { SourceRange } from '../src/core/diagnostic.ts';
import type { Stage } from './ast.ts';
import { Flaw } from './flaw.ts';
import type { Instruction, Draw } from './instruction.ts';
import { didYouMean } from '../src/core/nearest-name.ts';
import type { ImageRequest, LowerRequest, NamedContext } from './lower-request.ts';

/** Where files come from: the base of a stage, or what COPY --from and RUN --mount=from name. */
export type Origin =
  | { readonly kind: 'stage'; readonly index: number }
  | { readonly kind: 'scratch' }
  | { readonly kind: 'image'; readonly request: ImageRequest; readonly name: string }
  | { readonly kind: 'context'; readonly name: string };

/** A stage whose FROM line has been understood. */
export interface StagePlan {
  readonly stage: Stage;
  /** As progress shows it. */
  readonly label: string;
  readonly base: Origin;
  /** What --platform says. */
  readonly platform: Platform | undefined;
  /** `context`: a named context takes the stage's place, so neither its instructions nor the base's triggers count. */
  readonly origin: 'file' | 'context';
  /** Its instructions, if they count. */
  readonly instructions: readonly Instruction[];
}

/** Finds what names mean: earlier stages, then named contexts, then images. */
export class Names {
  readonly #request: LowerRequest;
  readonly #contexts: ReadonlyMap<string, NamedContext>;
  readonly #stages: readonly Stage[];
  readonly #byName = new Map<string, number[]>();

  constructor(stages: readonly Stage[], request: LowerRequest) {
    this.#request = request;
    this.#stages = stages;
    this.#contexts = new Map(Array.from(request.namedContexts, ([name, context]) => [contextKey(name), context]));
    for (const { name, index } of stages) {
      if (name === undefined) continue;
      const known = this.#byName.get(name);
      if (known === undefined) this.#byName.set(name, [index]);
      else known.push(index);
    }
  }

  /** The stage that the build is for. @throws Flaw StageNotFound */
  target(): number {
    const { target } = this.#request;
    if (target === undefined || target === '') return this.#stages.length - 1;
    const index = this.lookupTarget(target);
    if (index !== undefined) return index;
    throw new Flaw('StageNotFound', `target stage ${JSON.stringify(target)} could not be found`, {
      help: this.suggestion(target),
    });
  }

  /** The stage that `target` names, the last of that name; or `undefined`. */
  lookupTarget(target: string): number | undefined {
    const named = this.#byName.get(target.toLowerCase())?.at(-1);
    const index = named ?? (/^\d+$/.test(target) ? Number(target) : undefined);
    return index !== undefined && index < this.#stages.length ? index : undefined;
  }

  /** Near names of stages, or all of them. */
  suggestion(name: string): string | undefined {
    const names = [...this.#byName.keys()];
    if (names.length === 0) return undefined;
    return didYouMean(name, names) ?? `the stages are: ${names.slice(0, 20).join(', ')}`;
  }

  /** The named context that takes the place of a stage of this name. */
  replacement(
    name: string,
    o: { readonly platform: Platform | undefined; readonly range: SourceRange },
  ): Origin | undefined {
    return this.#namedContext(name, {
      platform: o.platform ?? this.#request.platform,
      strict: strictness(o.platform, this.#request),
      range: o.range,
    });
  }

  /** What `FROM name` of stage `index` begins on. @throws Flaw for what is no image name */
  base(
    name: string,
    o: { readonly index: number; readonly platform: Platform | undefined; readonly range: SourceRange },
  ): Origin {
    const stage = this.#earlierBase(name, o.index);
    if (stage !== undefined) return { kind: 'stage', index: stage };
    if (name === 'scratch') return { kind: 'scratch' };
    return this.#outside(name, {
      platform: o.platform ?? this.#request.platform,
      strict: strictness(o.platform, this.#request),
      range: o.range,
    });
  }

  /** What a draw of stage `index` takes from. @throws Flaw for a stage that is not there yet, or no image name */
  drawn(draw: Draw, o: { readonly index: number; readonly range: SourceRange }): Origin {
    if (draw.numbers === 'stages' && /^\d+$/.test(draw.from)) return this.#numbered(draw, o.index);
    const stage = this.#earlier(draw.from, o.index);
    if (stage !== undefined) return { kind: 'stage', index: stage };
    const later = this.#byName.get(draw.from.toLowerCase())?.[0];
    if (later !== undefined) throw this.#notYet(draw, { later, index: o.index });
    if (draw.from === 'scratch') return { kind: 'scratch' };
    return this.#outside(draw.from, {
      platform: this.#request.platform,
      strict: strictness(undefined, this.#request),
      range: o.range,
      draw,
    });
  }

  /** The stage before number `before` that `FROM name` means, if it means one. */
  baseStage(name: string, before: number): readonly number[] {
    const stage = this.#earlierBase(name, before);
    return stage === undefined ? [] : [stage];
  }

  /** The stage that a draw of stage `before` means, if it means one that is there. */
  stageDrawn({ from, numbers }: Draw, before: number): readonly number[] {
    if (numbers === 'stages' && /^\d+$/.test(from)) return Number(from) < before ? [Number(from)] : [];
    const stage = this.#earlier(from, before);
    return stage === undefined ? [] : [stage];
  }

  /** Whether what stage `index` draws from draws from `index` in turn, at once or by way of others. */
  isCircular(draw: Draw, index: number): boolean {
    const seen = new Set<number>();
    const pending = this.#anywhere(draw);
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      if (at === index) return true;
      if (seen.has(at)) continue;
      seen.add(at);
      const instructions = this.#stages[at]?.instructions ?? [];
      pending.push(...instructions.flatMap(({ command }) => command.draws.flatMap((each) => this.#anywhere(each))));
    }
    return false;
  }

  /** The stage that a draw means wherever it stands. */
  #anywhere({ from, numbers }: Draw): number[] {
    const index =
      numbers === 'stages' && /^\d+$/.test(from) ? Number(from) : this.#byName.get(from.toLowerCase())?.at(-1);
    return index === undefined ? [] : [index];
  }

  #numbered(draw: Draw, index: number): Origin {
    const number = Number(draw.from);
    if (number >= this.#stages.length) {
      throw new Flaw('InvalidStageIndex', `invalid stage index ${draw.from}`, {
        place: draw.place,
        help: `the stages are numbered 0 to ${this.#stages.length - 1}`,
      });
    }
    if (number >= index) throw this.#notYet(draw, { later: number, index });
    return { kind: 'stage', index: number };
  }

  #notYet(draw: Draw, o: { readonly later: number; readonly index: number }): Flaw {
    const own = this.#stages[o.index]?.name ?? String(o.index);
    const message =
      o.later === o.index
        ? `circular dependency detected on stage: ${own}`
        : `cannot copy from stage ${JSON.stringify(draw.from)}, it needs to be defined before current stage ${JSON.stringify(own)}`;
    return new Flaw('StageNotDefined', message, { place: draw.place });
  }

  /** BuildKit knows stages by their names in lower case, and FROM, alone, looks for the name as it is written. */
  #earlierBase(name: string, before: number): number | undefined {
    return this.#request.compat === 'buildkit' && name !== name.toLowerCase() ? undefined : this.#earlier(name, before);
  }

  #earlier(name: string, before: number): number | undefined {
    return this.#byName.get(name.toLowerCase())?.findLast((index) => index < before);
  }

  #outside(name: string, o: Resolution): Origin {
    const context = this.#namedContext(name, o);
    if (context !== undefined) return context;
    const reference = parseReference(name);
    const place = o.draw === undefined ? ({ kind: 'argument', index: 0 } as const) : o.draw.place;
    if (reference === undefined) {
      throw new Flaw(
        'InvalidReference',
        `failed to parse stage name ${JSON.stringify(name)}: invalid reference format`,
        { place, help: this.suggestion(name) },
      );
    }
    return { kind: 'image', request: imageRequest(formatReference(reference), o), name };
  }

  #namedContext(name: string, o: Resolution): Origin | undefined {
    const key = contextKey(name);
    if (key === 'scratch' || key === 'context') return undefined;
    const withPlatform = `${key}::${formatPlatformFull(normalizePlatform(o.platform))}`;
    const found = [withPlatform, key].find((candidate) => this.#contexts.has(candidate));
    const context = found === undefined ? undefined : this.#contexts.get(found);
    if (found === undefined || context === undefined) return undefined;
    if (context.kind === 'image') return { kind: 'image', request: imageRequest(context.reference, o), name };
    return { kind: 'context', name: this.#writtenName(found) };
  }

  /** The name as the user gave it, which is what the local context is known by. */
  #writtenName(key: string): string {
    return [...this.#request.namedContexts.keys()].find((name) => contextKey(name) === key) ?? key;
  }
}

/** How an image is to be looked for. */
interface Resolution {
  readonly platform: Platform;
  readonly strict: 'yes' | 'no';
  readonly range: SourceRange;
  readonly draw?: Draw;
}

function imageRequest(reference: string, { platform, strict, range }: Resolution): ImageRequest {
  const key = `${reference} ${formatPlatformFull(platform)} ${strict}`;
  return { key, reference, platform, strict, range };
}

function strictness(platform: Platform | undefined, request: LowerRequest): 'yes' | 'no' {
  return platform !== undefined || request.platformAsked === 'yes' ? 'yes' : 'no';
}

/** One spelling for all names of an image: short, without `:latest`; other names in lower case. */
function contextKey(name: string): string {
  const [image = '', platform] = name.split('::', 2);
  const reference = parseReference(image);
  const key = reference === undefined ? image.toLowerCase() : familiarReference(reference).replace(/:latest$/, '');
  if (platform === undefined) return key;
  const parsed = parsePlatform(platform);
  return `${key}::${parsed === undefined ? platform : formatPlatformFull(normalizePlatform(parsed))}`;
}
