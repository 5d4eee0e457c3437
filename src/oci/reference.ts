import { type Digest, parseDigest } from './digest.ts';

/** The full name of an image: `registry/repository[:tag][@digest]`, Docker Hub's short forms written out. */
export interface Reference {
  /** Host name or address with an optional port, as in `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly registry: string;
  /** Path components of lower-case letters, digits and separators; at most 255 characters. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const HUB = 'docker.io';
/** Docker Hub's name in old configurations. */
const LEGACY_HUB = 'index.docker.io';
const OFFICIAL = 'library/';
const DEFAULT_TAG = 'latest';
const MAX_REPOSITORY_LENGTH = 255;
/** Longer than any reference that could be valid; keeps the grammar's work bounded. */
const MAX_LENGTH = 1024;

const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const REGISTRY = new RegExp(String.raw`^(?:${LABEL}(?:\.${LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$`);
const COMPONENT = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^\w[\w.-]{0,127}$/;
/** The hex of a digest names an image, not a repository. */
const IDENTIFIER = /^[a-f0-9]{64}$/;

/**
 * The image that `text` names by the grammar of the distribution project, Docker's defaults filled in:
 * `alpine` is `docker.io/library/alpine`; a first component with `.`, `:` or an upper-case letter, or `localhost`, is a registry.
 * Gives no default tag, so that what the user typed can still be told. `undefined` where the grammar is broken.
 */
export function parseReference(text: string): Reference | undefined {
  if (text.length > MAX_LENGTH || IDENTIFIER.test(text)) return undefined;
  const [name, digestText] = cut(text, '@');
  const { registry, rest } = splitRegistry(name);
  const [repository, tag] = cut(rest, ':');
  if (!REGISTRY.test(registry) || !REPOSITORY.test(repository) || repository.length > MAX_REPOSITORY_LENGTH)
    return undefined;
  if (tag !== undefined && !TAG.test(tag)) return undefined;
  const digest = digestText === undefined ? undefined : parseDigest(digestText);
  if (digestText !== undefined && digest === undefined) return undefined;
  return { registry, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

/** The full name, with the tag `latest` where `reference` has neither tag nor digest. */
export function formatReference(reference: Reference): string {
  const bare = reference.tag === undefined && reference.digest === undefined;
  return formatRepository(reference) + suffix(bare ? { ...reference, tag: DEFAULT_TAG } : reference);
}

/**
 * The short form that users type: without Docker Hub's name and its `library/`, as far as `parseReference` reads it back;
 * tag and digest as they are, no default.
 */
export function familiarReference(reference: Reference): string {
  return familiarRepository(reference) + suffix(reference);
}

/** `registry/repository`, without tag and digest. */
export function formatRepository(reference: Reference): string {
  return `${reference.registry}/${reference.repository}`;
}

function familiarRepository(reference: Reference): string {
  const { registry, repository } = reference;
  const [first, rest] = cut(repository, '/');
  if (registry !== HUB || looksLikeRegistry(first)) return formatRepository(reference);
  return `${first}/` === OFFICIAL && rest !== undefined && !rest.includes('/') ? rest : repository;
}

function suffix(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  return reference.digest === undefined ? tag : `${tag}@${reference.digest}`;
}

function splitRegistry(name: string): { registry: string; rest: string } {
  const [first, rest] = cut(name, '/');
  if (rest === undefined) return { registry: HUB, rest: OFFICIAL + name };
  if (!looksLikeRegistry(first)) return { registry: HUB, rest: name };
  if (first !== HUB && first !== LEGACY_HUB) return { registry: first, rest };
  return { registry: HUB, rest: rest.includes('/') ? rest : OFFICIAL + rest };
}

function looksLikeRegistry(component: string): boolean {
  return component === 'localhost' || /[.:A-Z]/.test(component);
}

function cut(text: string, separator: string): [before: string, after: string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}
