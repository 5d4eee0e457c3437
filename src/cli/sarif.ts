import type { Diagnostic } from '../core/diagnostic.ts';
import type { CheckResult } from '../store-handle.ts';

/** The findings of a check as a SARIF 2.1.0 log, for code-scanning services. */
export function toSarif({ diagnostics }: CheckResult, version: string): object {
  const rules = [...new Map(diagnostics.map((diagnostic) => [diagnostic.code, toRule(diagnostic)])).values()];
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'tsbuild', version, rules } },
        columnKind: 'utf16CodeUnits',
        results: diagnostics.map(toResult),
      },
    ],
  };
}

function toRule({ code, url }: Diagnostic): object {
  return { id: code, ...(url === undefined ? {} : { helpUri: url }) };
}

function toResult({ code, severity, message, help, range, edits }: Diagnostic): object {
  const fixes = edits === undefined || edits.length === 0 ? {} : { fixes: [{ artifactChanges: edits.map(toChange) }] };
  return {
    ruleId: code,
    level: severity,
    message: { text: help === undefined ? message : `${message}\n${help}` },
    ...(range === undefined
      ? {}
      : {
          locations: [{ physicalLocation: { artifactLocation: { uri: toUri(range.file) }, region: toRegion(range) } }],
        }),
    ...fixes,
  };
}

function toChange({ range, text }: NonNullable<Diagnostic['edits']>[number]): object {
  return {
    artifactLocation: { uri: toUri(range.file) },
    replacements: [{ deletedRegion: toRegion(range), insertedContent: { text } }],
  };
}

function toRegion({ start, end }: NonNullable<Diagnostic['range']>): object {
  return { startLine: start.line, startColumn: start.column, endLine: end.line, endColumn: end.column };
}

/** A relative path as a URI reference (sarif-v2.1.0 3.4.4). */
function toUri(file: string): string {
  return file.split('/').map(encodeURIComponent).join('/');
}
