/** Reads the text of a config, records the places of its keys and applies overrides. */
import { isIPv6 } from 'node:net';
import type { Document } from 'yaml';
import { isNode, LineCounter, parseDocument } from 'yaml';
import type { ConfigFault } from './configError.js';
import type { KeyPath } from './schemaTree.js';
import { scalarText, stepsAlong } from './writtenText.js';

export interface ConfigSource {
  /** Plain data with the overrides applied. */
  readonly value: unknown;
  readonly faults: readonly ConfigFault[];
  /** Where the value of a key came from, or that of its section if the key is missing. */
  place(path: KeyPath): Pick<ConfigFault, 'line' | 'override'>;
  /** What was written for the value at a path; null: it isn't a plain value in one piece. */
  text(path: KeyPath): string | null;
}

interface Override {
  readonly given: string;
  readonly path: readonly string[];
  /** Of the value. */
  readonly document: Document;
}

/**
 * Reads YAML and applies overrides `key.path=value` in order; their values are YAML, too. A number in
 * a key.path is a position if the value there is a list.
 */
export function readSource(text: string, overrides: readonly string[]): ConfigSource {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const faults: ConfigFault[] = document.errors.map((error) => ({
    key: '',
    line: lines.linePos(error.pos[0]).line,
    override: null,
    message: `not YAML: ${error.message.split('\n')[0]?.replace(/ at line.*$/, '')}`,
  }));
  let value: unknown = null;
  if (faults.length === 0) {
    try {
      value = document.toJS();
    } catch (error) {
      faults.push({ key: '', line: null, override: null, message: (error as Error).message });
    }
  }
  const applied: Override[] = [];
  // An empty file stands for all defaults.
  const holder = { value: value ?? {} };
  for (const given of overrides) {
    const fault = applyOverride(holder, given, applied);
    if (fault !== null) faults.push({ key: '', line: null, override: given, message: fault });
  }
  const overrideOf = (path: KeyPath) =>
    applied.findLast(
      (one) =>
        one.path.length <= path.length && one.path.every((key, i) => key === String(path[i])),
    );
  return {
    value: holder.value,
    faults,
    place: (path) => {
      const override = overrideOf(path);
      if (override !== undefined) return { line: null, override: override.given };
      return { line: lineOf(document, lines, path), override: null };
    },
    text: (path) => {
      const override = overrideOf(path);
      if (override === undefined) return scalarText(document, path);
      const inner = path.slice(override.path.length);
      return inner.length === 0 ? wholeText(override) : scalarText(override.document, inner);
    },
  };
}

/** Returns what is wrong with the override, or null. */
function applyOverride(
  holder: { value: unknown },
  given: string,
  applied: Override[],
): string | null {
  const at = given.indexOf('=');
  const path = given.slice(0, Math.max(at, 0)).trim().split('.');
  if (at < 1 || path.some((key) => key === '')) return 'wanted key.path=value';
  const document = parseDocument(valueText(given));
  let value: unknown;
  try {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    value = document.toJS();
  } catch (error) {
    return `the value is not YAML: ${(error as Error).message.split('\n')[0]}`;
  }
  const last = path.length - 1;
  let section: unknown = holder.value;
  for (const [depth, key] of path.entries()) {
    if (section === null || typeof section !== 'object') {
      return `${path.slice(0, depth).join('.')} is not a section`;
    }
    const next = Object.hasOwn(section, key)
      ? (section as Record<string, unknown>)[key]
      : undefined;
    const put = depth === last ? value : (next ?? {});
    // Defined, not assigned, so that a key such as __proto__ stays a key, which the schema refuses.
    if (put !== next) {
      Object.defineProperty(section, key, {
        value: put,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    section = put;
  }
  applied.push({ given, path, document });
  return null;
}

/** The text of an override, unless it is a map or a list: YAML sees one in the IPv6 addresses :: and [::1], too. */
function wholeText({ given }: Override): string | null {
  const text = valueText(given);
  const isAddress = isIPv6(/^\[(\S+)\]$/.exec(text)?.[1] ?? '');
  return isAddress || !/^[[{]/.test(text) ? text : null;
}

function valueText(given: string): string {
  return given.slice(given.indexOf('=') + 1).trim();
}

/** Line of the deepest part of the path that the text contains. */
function lineOf(document: Document, lines: LineCounter, path: KeyPath): number | null {
  let offset: number | null = null;
  for (const { start } of stepsAlong(document, path)) {
    if (!isNode(start) || !start.range) break;
    offset = start.range[0];
  }
  return offset === null ? null : lines.linePos(offset).line;
}
