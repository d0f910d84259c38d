/** Lengths, names, and what only services may touch. */
import { posix } from 'node:path';
import ts from 'typescript';
import type { Source, Violation } from './sources.js';
import { lineOf, visit } from './sources.js';

const FILE_LINES = 300;
/** Files that may be longer, each with the reason why it is one piece. */
const STATE_MACHINE = {
  lines: 450,
  why: 'one state machine: its states and every way from one to another',
} as const;
const LONG_FILES: ReadonlyMap<string, { readonly lines: number; readonly why: string }> = new Map([
  ['src/stream/client/link.ts', STATE_MACHINE],
  ['services/student/group/rollCall/rollCall.ts', STATE_MACHINE],
]);
const FUNCTION_LINES = 60;
const VAGUE_NAMES = new Set(['utils', 'util', 'helpers', 'helper', 'manager', 'managers']);

export function lengthViolations(source: Source): Violation[] {
  const found: Violation[] = [];
  const lines = source.text.trimEnd().split('\n').length;
  const most = LONG_FILES.get(source.path)?.lines ?? FILE_LINES;
  if (lines > most) {
    const rule = `a file has at most ${most} lines; this one has ${lines}`;
    found.push({ path: source.path, line: most + 1, rule });
  }
  visit(source.tree, (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return;
    const first = lineOf(source, node);
    const last = source.tree.getLineAndCharacterOfPosition(node.getEnd()).line + 1;
    if (last - first + 1 > FUNCTION_LINES) {
      const rule = `a function has at most ${FUNCTION_LINES} lines; this has ${last - first + 1}`;
      found.push({ path: source.path, line: first, rule });
    }
  });
  return found;
}

export function nameViolations(path: string): Violation[] {
  const vague = path
    .split('/')
    .map((part) => posix.basename(part).split('.')[0] ?? '')
    .find((name) => VAGUE_NAMES.has(name.toLowerCase()) || /(Utils?|Helpers?|Manager)$/.test(name));
  if (vague === undefined) return [];
  return [{ path, line: 1, rule: `'${vague}' does not say what is in it` }];
}

/** process.argv, process.env and signals in files that aren't a service's. */
export function processViolations(source: Source): Violation[] {
  const found: Violation[] = [];
  visit(source.tree, (node) => {
    const touched = touchedPart(node);
    if (touched === undefined) return;
    const rule = `only services use ${touched}`;
    found.push({ path: source.path, line: lineOf(source, node), rule });
  });
  return found;
}

function touchedPart(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node) && node.expression.getText() === 'process') {
    const name = node.name.text;
    return ['argv', 'env', 'execArgv'].includes(name) ? `process.${name}` : undefined;
  }
  if (
    ts.isCallExpression(node) &&
    /^process\.(on|once|addListener)$/.test(node.expression.getText())
  ) {
    const [event] = node.arguments;
    if (event && ts.isStringLiteralLike(event) && event.text.startsWith('SIG')) return event.text;
  }
  if (
    ts.isImportDeclaration(node) &&
    /['"](node:)?process['"]/.test(node.moduleSpecifier.getText())
  ) {
    return 'an import of process';
  }
  return undefined;
}
