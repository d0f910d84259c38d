/** Reads the files of a config, records the places of its keys and applies overrides. */
import { isIPv6 } from 'node:net';
import type { Document } from 'yaml';
import { parseDocument } from 'yaml';
import type { ConfigFault, FaultPlace } from './configError.js';
import { type ConfigFile, type Layer, layerOf, lineIn, mergeLayers, readLayer } from './layers.js';
import type { KeyPath } from './schemaTree.js';
import { scalarText } from './writtenText.js';

export interface ConfigSource {
  /** Plain data with the overrides applied. */
  readonly value: unknown;
  readonly faults: readonly ConfigFault[];
  /** Where the value of a key came from, or that of its section if the key is missing. */
  place(path: KeyPath): FaultPlace;
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
 * Reads YAML files on top of one another (layers.ts) and applies overrides `key.path=value` in order; their values
 * are YAML, too. A number in a key.path is a position if the value there is a list.
 */
export function readSource(
  files: readonly ConfigFile[],
  overrides: readonly string[],
): ConfigSource {
  const layers = files.map(readLayer);
  const named = ({ fileName }: Layer) => (layers.length > 1 ? { file: fileName } : {});
  const faults: ConfigFault[] = layers.flatMap((layer) =>
    layer.faults.map((fault) => ({ key: '', override: null, ...fault, ...named(layer) })),
  );
  const applied: Override[] = [];
  const holder = { value: mergeLayers(layers) };
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
      const layer = layerOf(layers, path);
      return { line: lineIn(layer, path), override: null, ...named(layer) };
    },
    text: (path) => {
      const override = overrideOf(path);
      if (override === undefined) return scalarText(layerOf(layers, path).document, path);
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
