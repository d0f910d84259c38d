/**
 * Text that YAML takes for something else. Where a key wants text, `20261130`, `1e3` and `yes` are text as they
 * stand, and so is an override such as `listen.host=::`.
 */
import { type Document, isAlias, isMap, isScalar, isSeq } from 'yaml';
import { isSection, type KeyPath, nodeAt, type SchemaNode } from './schemaTree.js';

/** What was written for the value at a path; null: it isn't a plain value in one piece. */
export type WrittenText = (path: KeyPath) => string | null;

/** Replaces, in place, each value that isn't text although its key wants text by what was written for it. */
export function restoreWrittenText(root: SchemaNode, value: unknown, written: WrittenText): void {
  const visit = (holder: unknown, path: KeyPath): void => {
    if (holder === null || typeof holder !== 'object') return;
    for (const key of Object.keys(holder)) {
      const here = [...path, Array.isArray(holder) ? Number(key) : key];
      const members = holder as Record<string, unknown>;
      const node = nodeAt(root, here, value);
      const text = node !== undefined && wantsText(node) ? textFor(members[key], here) : null;
      if (text === null) visit(members[key], here);
      else members[key] = text;
    }
  };
  const textFor = (given: unknown, path: KeyPath) =>
    given === null || typeof given === 'string' ? null : written(path);
  visit(value, []);
}

/** Whether the node takes text, and neither a number nor a section nor a list. */
function wantsText(node: SchemaNode): boolean {
  const kinds = node.anyOf ?? [node];
  const isText = ({ type, enum: values, const: only }: SchemaNode) =>
    type === 'string' || values?.every(isString) || isString(only);
  return (
    kinds.some(isText) &&
    kinds.every((kind) => isText(kind) || kind.type === 'null') &&
    !isSection(node)
  );
}

function isString(value: unknown): boolean {
  return typeof value === 'string';
}

/** The text of the plain or quoted scalar at a path of a YAML document; null if there is none. */
export function scalarText(document: Document, path: KeyPath): string | null {
  const steps = [...stepsAlong(document, path)];
  const end = steps.length < path.length ? undefined : (steps.at(-1)?.node ?? document.contents);
  const node = isAlias(end) ? end.resolve(document) : end;
  return isScalar(node) && typeof node.source === 'string' ? node.source : null;
}

/**
 * The nodes along a path, as far as the document has it: each value, and where it starts (its key, or the item
 * itself). Aliases on the way are followed.
 */
export function* stepsAlong(
  document: Document,
  path: KeyPath,
): Generator<{ readonly start: unknown; readonly node: unknown }> {
  let node: unknown = document.contents;
  for (const segment of path) {
    if (isAlias(node)) node = node.resolve(document);
    let start: unknown;
    if (isMap(node)) {
      const pair = node.items.find(
        ({ key }) => isScalar(key) && String(key.value) === String(segment),
      );
      start = pair?.key;
      node = pair?.value;
    } else if (isSeq(node)) {
      node = node.items[Number(segment)];
      start = node;
    } else {
      return;
    }
    yield { start, node };
  }
}
