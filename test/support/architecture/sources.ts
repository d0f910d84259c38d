/** The project's files as the architecture test reads them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';

export interface Source {
  /** From the project's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

export interface Violation {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly rule: string;
}

export interface ImportedModule {
  readonly specifier: string;
  readonly line: number;
}

const SKIPPED = new Set(['node_modules', 'dist', 'runs', 'generated', '.git', '.cirkd']);

/** Every file below `folder` that isn't installed, built or generated. */
export function walk(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (SKIPPED.has(entry.name) || entry.isSymbolicLink()) return [];
    return entry.isDirectory() ? walk(root, path) : [path];
  });
}

export function readSources(root: string, folder: string): Source[] {
  return walk(root, folder)
    .filter((path) => /\.m?[jt]s$/.test(path))
    .map((path) => parseSource(path, readFileSync(join(root, path), 'utf8')));
}

export function parseSource(path: string, text: string): Source {
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true) };
}

export function lineOf(source: Source, node: ts.Node): number {
  return source.tree.getLineAndCharacterOfPosition(node.getStart(source.tree)).line + 1;
}

export function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

/**
 * What a file imports: import and export declarations (types too), dynamic imports, import types,
 * require(), import.meta.resolve().
 */
export function importedModules(source: Source): ImportedModule[] {
  const found: ImportedModule[] = [];
  visit(source.tree, (node) => {
    const specifier = specifierOf(node);
    if (specifier !== undefined && ts.isStringLiteralLike(specifier)) {
      found.push({ specifier: specifier.text, line: lineOf(source, node) });
    }
  });
  return found;
}

function specifierOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isImportTypeNode(node)) {
    return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
  }
  if (!ts.isCallExpression(node)) return undefined;
  const callee = node.expression;
  const imports =
    callee.kind === ts.SyntaxKind.ImportKeyword ||
    (ts.isIdentifier(callee) && callee.text === 'require') ||
    callee.getText() === 'import.meta.resolve';
  return imports ? node.arguments[0] : undefined;
}

/** The file that a relative specifier means, from the root; undefined for a package. */
export function resolveRelative(path: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.normalize(posix.join(posix.dirname(path), specifier));
}
