import type { ResourceLimits } from '../core/graph.ts';
import { parseFields } from './parse-fields.ts';
import { parseCount, parseLimit, parseSize } from './parse-size.ts';
import { didYouMeanOneOf } from '../core/nearest-name.ts';
import { usageError } from './usage-error.ts';

const CPU_SET = /^\d+(-\d+)?(,\d+(-\d+)?)*$/;

const keys: Readonly<Record<string, (value: string, flag: string) => ResourceLimits>> = {
  memory: (value, flag) => ({ memoryBytes: parseSize(flag, value) }),
  'memory-swap': (value, flag) => ({ memorySwapBytes: parseLimit(flag, value) }),
  'cpu-shares': (value, flag) => ({ cpuShares: parseCount(flag, value, 2) }),
  'cpu-period': (value, flag) => ({ cpuPeriodUs: parseCount(flag, value, 1000) }),
  'cpu-quota': (value, flag) => ({ cpuQuotaUs: parseCount(flag, value, -1) }),
  'cpuset-cpus': (value, flag) => ({ cpusetCpus: parseCpuSet(flag, value) }),
  'cpuset-mems': (value, flag) => ({ cpusetMems: parseCpuSet(flag, value) }),
  pids: (value, flag) => ({ pids: parseCount(flag, value, 1) }),
};

/** The limits of all `--resource` flags together: `memory=1g,cpu-quota=50000`; later ones win. */
export function parseResources(texts: readonly string[]): ResourceLimits {
  return texts
    .flatMap((text) => joinCpuSets(text))
    .reduce<ResourceLimits>((limits, { key, value }) => {
      const parse = Object.hasOwn(keys, key) ? keys[key] : undefined;
      if (parse === undefined)
        throw usageError(
          `--resource: no resource is named ${JSON.stringify(key)}`,
          didYouMeanOneOf(key, Object.keys(keys)),
        );
      if (value === undefined || value === '')
        throw usageError(`--resource: ${key} has no value`, `write ${key}=VALUE`);
      // oxlint-disable-next-line oxc/no-accumulating-spread -- eight keys at most
      return { ...limits, ...parse(value, `--resource ${key}`) };
    }, {});
}

/** `cpuset-cpus=0,2-3` holds a comma that separates no fields. */
function joinCpuSets(text: string): readonly { readonly key: string; readonly value?: string }[] {
  const fields: { key: string; value?: string }[] = [];
  for (const field of parseFields('--resource', text)) {
    const previous = fields.at(-1);
    if (
      field.value === undefined &&
      CPU_SET.test(field.key) &&
      previous?.key.startsWith('cpuset-') &&
      previous.value !== undefined
    ) {
      previous.value += `,${field.key}`;
    } else {
      fields.push({ ...field });
    }
  }
  return fields;
}

function parseCpuSet(flag: string, value: string): string {
  if (!CPU_SET.test(value))
    throw usageError(`${flag}: invalid list ${JSON.stringify(value)}`, 'write numbers and ranges: 0,2-3');
  return value;
}
