import { parseReference } from '../../src/oci/reference.ts';
import type { Dockerfile, Stage } from '../ast.ts';
import type { Instruction } from '../instruction.ts';
import { addNodeOf } from '../instructions/add.ts';
import { copyNodeOf } from '../instructions/copy.ts';
import { runNodeOf } from '../instructions/run.ts';
import { baseName } from '../paths.ts';
import { heredocText, parseHeredocOperator } from '../syntax/heredoc.ts';
import type { Finding } from './reporter.ts';
import { MESSAGES } from './rules.ts';

const SECRET_FILES = new Set([
  '.env',
  '.netrc',
  '.npmrc',
  '.pypirc',
  'id_rsa',
  'id_ecdsa',
  'id_ed25519',
  'credentials.json',
]);

/** The findings of tsbuild's own rules. */
export function* lintOwn({ stages }: Dockerfile): Generator<Finding> {
  const names = new Set<string>();
  for (const stage of stages) {
    yield* unpinnedBase(stage, names);
    if (stage.name !== undefined) names.add(stage.name);
    for (const instruction of stage.instructions) {
      yield* runFindings(instruction);
      yield* copyFindings(instruction);
    }
  }
}

function* unpinnedBase({ from, node }: Stage, names: ReadonlySet<string>): Generator<Finding> {
  const { base } = node;
  if (base === 'scratch' || base.includes('$') || names.has(base.toLowerCase())) return;
  const reference = parseReference(base);
  if (reference === undefined || reference.digest !== undefined || (reference.tag ?? 'latest') !== 'latest') return;
  const place = { kind: 'argument', index: 0 } as const;
  yield {
    rule: 'UnpinnedBaseImage',
    message: MESSAGES.UnpinnedBaseImage(base),
    instruction: from,
    place,
    help: 'name a version, or a digest',
  };
}

function* runFindings(instruction: Instruction): Generator<Finding> {
  const command = runNodeOf(instruction)?.command;
  if (command?.form !== 'shell') return;
  const [document] = command.heredocs;
  const script = document === undefined ? command.text : heredocText(document);
  if (document !== undefined && parseHeredocOperator(command.text) !== undefined && ignoresErrors(script)) {
    yield {
      rule: 'HeredocIgnoresErrors',
      message: MESSAGES.HeredocIgnoresErrors(),
      instruction,
      help: 'begin it with set -e',
    };
  }
  if (
    /\bapt(?:-get)? +(?:-\S+ +)*update\b/.test(script) &&
    !/\b(?:install|upgrade|dist-upgrade|build-dep)\b/.test(script)
  ) {
    yield {
      rule: 'AptUpdateAlone',
      message: MESSAGES.AptUpdateAlone(),
      instruction,
      help: 'join them: apt-get update && apt-get install …',
    };
  }
  if (document === undefined && /^cd +[^\s;&|]+$/.test(script)) {
    yield { rule: 'RunCd', message: MESSAGES.RunCd(), instruction, help: 'use WORKDIR' };
  }
}

/** More than one command, none of which makes the shell stop at the first failure. */
function ignoresErrors(script: string): boolean {
  if (script.startsWith('#!') || /\bset +-(?:[a-z]*e|o +errexit)/.test(script)) return false;
  return script.split('\n').filter((line) => line.trim() !== '' && !line.trim().startsWith('#')).length > 1;
}

function* copyFindings(instruction: Instruction): Generator<Finding> {
  const add = addNodeOf(instruction);
  const copy = copyNodeOf(instruction);
  const local = add ?? (copy?.from === undefined ? copy : undefined);
  for (const source of local?.sources ?? []) {
    const place = { kind: 'word', text: source } as const;
    if (SECRET_FILES.has(baseName(source))) {
      yield {
        rule: 'SecretFileCopied',
        message: MESSAGES.SecretFileCopied(source),
        instruction,
        place,
        help: 'mount it where it is needed: RUN --mount=type=secret,…',
      };
    }
    if (
      add !== undefined &&
      add.checksum === undefined &&
      /^https?:\/\//.test(source) &&
      !/\.git(?:[?#]|$)/.test(source)
    ) {
      yield {
        rule: 'RemoteWithoutChecksum',
        message: MESSAGES.RemoteWithoutChecksum(source),
        instruction,
        place,
        help: 'add --checksum=sha256:…',
      };
    }
  }
}
