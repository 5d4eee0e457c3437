import type { BuildRequest } from '../build-request.ts';
import { parseCount } from './parse-size.ts';
import { didYouMeanOneOf } from '../core/nearest-name.ts';
import { usageError } from './usage-error.ts';

type Ulimit = NonNullable<BuildRequest['ulimits']>[number];

const NAMES = [
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
];

/** `nofile=1024` or `nofile=1024:2048`; -1 stands for no limit. */
export function parseUlimit(text: string): Ulimit {
  const match = /^([^=]+)=([^:]+)(?::(.+))?$/.exec(text);
  if (match === null) throw usageError(`--ulimit: invalid value ${JSON.stringify(text)}`, 'write NAME=SOFT[:HARD]');
  const [, name = '', softText = '', hardText = softText] = match;
  if (!NAMES.includes(name))
    throw usageError(`--ulimit: no limit is named ${JSON.stringify(name)}`, didYouMeanOneOf(name, NAMES));
  const soft = parseCount('--ulimit', softText, -1);
  const hard = parseCount('--ulimit', hardText, -1);
  if (hard !== -1 && (soft === -1 || soft > hard)) {
    throw usageError(`--ulimit: the soft limit ${softText} of ${name} is above the hard limit ${hardText}`);
  }
  return { name, soft, hard };
}
