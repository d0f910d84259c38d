/** Several config files on top of one another: their merged value, and which of them a value came from. */
import { type Document, isAlias, isMap, isNode, LineCounter, parseDocument } from 'yaml';
import type { ConfigFault } from './configError.js';
import type { KeyPath } from './schemaTree.js';
import { stepsAlong } from './writtenText.js';

export interface ConfigFile {
  /** YAML; empty text stands for all defaults. */
  readonly text: string;
  /** The file's name in messages. */
  readonly fileName: string;
}

/** A file, read. */
export interface Layer {
  readonly fileName: string;
  readonly document: Document;
  readonly lines: LineCounter;
  /** Plain data; undefined if it isn't YAML. */
  readonly value: unknown;
  readonly faults: readonly Pick<ConfigFault, 'line' | 'message'>[];
}

export function readLayer({ text, fileName }: ConfigFile): Layer {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const layer = { fileName, document, lines };
  const faults = document.errors.map((error) => ({
    line: lines.linePos(error.pos[0]).line,
    message: `not YAML: ${error.message.split('\n')[0]?.replace(/ at line.*$/, '')}`,
  }));
  if (faults.length > 0) return { ...layer, value: undefined, faults };
  try {
    // An empty file stands for all defaults.
    return { ...layer, value: document.toJS() ?? {}, faults };
  } catch (error) {
    return {
      ...layer,
      value: undefined,
      faults: [{ line: null, message: (error as Error).message }],
    };
  }
}

/** Sections are merged key by key; any other value, lists included, replaces the one below it. */
export function mergeLayers(layers: readonly Layer[]): unknown {
  return layers.map(({ value }) => value ?? {}).reduce(merged, {});
}

function merged(below: unknown, above: unknown): unknown {
  if (!isPlainSection(below) || !isPlainSection(above)) return above;
  const keys = new Set([...Object.keys(below), ...Object.keys(above)]);
  // Object.fromEntries defines its keys, so a key such as __proto__ stays a key, which the schema refuses.
  return Object.fromEntries(
    [...keys].map((key) => {
      if (!Object.hasOwn(above, key)) return [key, below[key]];
      return [key, Object.hasOwn(below, key) ? merged(below[key], above[key]) : above[key]];
    }),
  );
}

function isPlainSection(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** The layer that the value at a path came from; if it is in none, the topmost of those with the most of the path. */
export function layerOf(layers: readonly Layer[], path: KeyPath): Layer {
  let best = { layer: layers[0]!, depth: -1 };
  for (const layer of layers.toReversed()) {
    const steps = [...stepsAlong(layer.document, path)].filter(({ start }) => start !== undefined);
    const end = steps.at(-1)?.node;
    const target = isAlias(end) ? end.resolve(layer.document) : end;
    // What isn't a section has replaced everything below it.
    if (steps.length === path.length || (steps.length > 0 && !isMap(target))) return layer;
    if (steps.length > best.depth) best = { layer, depth: steps.length };
  }
  return best.layer;
}

/** Line of the deepest part of the path that the layer's text contains. */
export function lineIn({ document, lines }: Layer, path: KeyPath): number | null {
  let offset: number | null = null;
  for (const { start } of stepsAlong(document, path)) {
    if (!isNode(start) || !start.range) break;
    offset = start.range[0];
  }
  return offset === null ? null : lines.linePos(offset).line;
}
