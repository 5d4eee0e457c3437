import type { FileAction } from '../src/core/graph.ts';

/** What a cache record's fields, as `formatFields` wrote them, say of its step: `exec /bin/sh -c make`, `copy /a to /b`. Empty where they say nothing. */
export function describeRecord(fields: string): string {
  const labelled = JSON.parse(fields) as readonly (readonly [label: string, value: string])[];
  const args = labelled.find(([label]) => label === 'args');
  if (args !== undefined) return `exec ${(JSON.parse(args[1]) as readonly string[]).join(' ')}`;
  const actions = labelled.filter(([label]) => label.startsWith('action ')).map(([, value]) => value);
  return actions.map((action) => describeAction(JSON.parse(action) as FileAction)).join(', ');
}

function describeAction(action: FileAction): string {
  switch (action.type) {
    case 'copy':
      return `copy ${action.sources.join(' ')} to ${action.dest}`;
    case 'mkdir':
      return `mkdir ${action.path}`;
    case 'write':
      return `write ${action.name} to ${action.dest}`;
  }
}
