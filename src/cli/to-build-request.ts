import type { BuildRequest, ContextInput, DockerfileInput, ImageOutputOptions, Output } from '../build-request.ts';
import { BuildError } from '../core/error.ts';
import { parseReference } from '../oci/reference.ts';
import type { BuildFlags } from './build-flags.ts';
import { usageError } from './usage-error.ts';

/** The inputs of a build that the positional argument and `--file` name. */
export interface BuildInputs {
  readonly context: ContextInput;
  readonly dockerfile?: DockerfileInput;
}

/** The request that flags and inputs make; listeners, the signal and streams are the caller's to add. */
export function toBuildRequest(flags: Partial<BuildFlags>, inputs: BuildInputs): BuildRequest {
  const {
    file: _file,
    iidFile: _iidFile,
    metadataFile: _metadataFile,
    check: _check,
    call: _call,
    ...forRequest
  } = flags;
  const {
    outputs: _outputs,
    load: _load,
    push: _push,
    annotations: _annotations,
    noCacheFilter,
    ...fields
  } = forRequest;
  const tags = fields.tags ?? [];
  for (const tag of tags) checkName(tag);
  const outputs = toOutputs(flags, tags);
  const noCache = fields.noCache ?? noCacheFilter;
  return {
    ...fields,
    ...inputs,
    ...(outputs.length === 0 ? {} : { outputs }),
    ...(noCache === undefined ? {} : { noCache }),
  };
}

/** What to make of the result: none stands for an image in the store. */
function toOutputs(flags: Partial<BuildFlags>, tags: readonly string[]): readonly Output[] {
  const outputs: Output[] = [...(flags.outputs ?? [])];
  if (flags.push !== undefined) mergeStore(outputs, 'yes');
  else if (flags.load !== undefined) mergeStore(outputs, 'no');
  else if (outputs.length === 0 && flags.annotations !== undefined) mergeStore(outputs, 'no');
  const toStdout = outputs.filter((output) => 'dest' in output && output.dest === '-');
  if (toStdout.length > 1) throw usageError('only one output can go to standard output', 'give the others a dest=PATH');
  return outputs.map((output) => dress(output, tags, flags.annotations));
}

/** `--push` and `--load` change an image output that is there, as in buildx; otherwise they add one. */
function mergeStore(outputs: Output[], push: 'yes' | 'no'): void {
  const index = outputs.findIndex(({ type }) => type === 'image');
  const found = outputs[index];
  if (found?.type === 'image') outputs[index] = { ...found, push: push === 'yes' ? 'yes' : found.push, store: 'yes' };
  else outputs.push({ type: 'image', names: [], push, store: 'yes' });
}

/** Gives an image output the names and annotations that flags hold for all outputs; its own come first. */
function dress(output: Output, tags: readonly string[], annotations: ImageOutputOptions['annotations']): Output {
  if (!('names' in output)) return output;
  const names = output.names.length === 0 ? tags : output.names;
  for (const name of names) checkName(name);
  if (output.type === 'image' && output.push === 'yes' && names.length === 0) {
    throw usageError('a pushed image needs a name', 'name it with --tag REGISTRY/NAME');
  }
  const merged = { ...annotations, ...output.annotations };
  return { ...output, names, ...(Object.keys(merged).length === 0 ? {} : { annotations: merged }) };
}

/** @throws REFERENCE_INVALID before anything is built; a digest cannot be chosen. */
function checkName(name: string): void {
  const reference = parseReference(name);
  if (reference === undefined) throw new BuildError('REFERENCE_INVALID', { reference: name });
  if (reference.digest !== undefined) {
    throw new BuildError(
      'REFERENCE_INVALID',
      { reference: name },
      { hint: 'a name of an image to be built has no digest' },
    );
  }
}
