/** Turns text and overrides into a checked config, or throws one error with every fault. */
import type { z } from 'zod';
import type { ConfigFault, FaultPlace } from './configError.js';
import { ConfigError } from './configError.js';
import type { ConfigSchema } from './fields.js';
import type { ConfigFile } from './layers.js';
import { withoutRetiredKeys } from './retiredKeys.js';
import { expandHomes } from './homePaths.js';
import type { KeyPath, SchemaNode } from './schemaTree.js';
import { keyOf, memberOf, nodeAt, schemaTree } from './schemaTree.js';
import { suggestKey } from './suggest.js';
import { givenText, wantedText } from './wanted.js';
import type { ConfigSource } from './yamlSource.js';
import { readSource } from './yamlSource.js';
import { restoreWrittenText } from './writtenText.js';

export interface ConfigText extends ConfigFile {
  /** Further files on top of it: sections are merged key by key, other values replaced; later ones win. */
  readonly overlays?: readonly ConfigFile[];
  /** key.path=value, where the value is YAML; later overrides win. */
  readonly overrides?: readonly string[];
}

/** Returns the resolved config, with defaults. Throws ConfigError with all faults at once. */
export function loadConfig<T>(schema: ConfigSchema<T>, given: ConfigText): T {
  const files = [given, ...(given.overlays ?? [])];
  const name = files.map(({ fileName }) => fileName).join(' + ');
  const read = readSource(files, given.overrides ?? []);
  const source = { ...read, value: withoutRetiredKeys(schema, read.value) };
  // After broken YAML the rest would be guesses.
  if (source.faults.length > 0) throw new ConfigError(name, source.faults);
  restoreWrittenText(schemaTree(schema), source.value, source.text);
  return checkSource(schema, source, name);
}

/**
 * The same for a value that is there already; it is copied. `name` is for messages. Throws
 * ConfigError, also where the value holds what is no plain data (a function, say).
 */
export function checkConfig<T>(schema: ConfigSchema<T>, value: unknown, name: string): T {
  const nowhere = { line: null, override: null };
  let copy: unknown;
  try {
    copy = structuredClone(value);
  } catch (error) {
    const message = `got what is no plain data: ${(error as Error).message}`;
    throw new ConfigError(name, [{ key: '', ...nowhere, message }]);
  }
  return checkSource(
    schema,
    { value: copy, faults: [], place: () => nowhere, text: () => null },
    name,
  );
}

function checkSource<T>(schema: ConfigSchema<T>, source: ConfigSource, name: string): T {
  const parsed = schema.root.safeParse(source.value);
  if (parsed.success) {
    const faults = crossFaults(schema, parsed.data, source);
    if (faults.length > 0) throw new ConfigError(name, faults);
    expandHomes(schemaTree(schema), parsed.data);
    return parsed.data;
  }
  const faults = keyFaults(schema, parsed.error.issues, source);
  throw new ConfigError(name, [...faults, ...crossFaultsBesides(schema, faults, source)]);
}

function keyFaults<T>(
  schema: ConfigSchema<T>,
  issues: readonly z.core.$ZodIssue[],
  source: ConfigSource,
): ConfigFault[] {
  const tree = schemaTree(schema);
  const faults = new Map<string, ConfigFault>();
  const add = (path: KeyPath, message: string) => {
    const key = keyOf(path);
    if (!faults.has(key)) faults.set(key, { key, ...source.place(path), message });
  };
  for (const issue of issues) {
    const path = issue.path as KeyPath;
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) add([...path, key], unknownKeyText(tree, path, source, key));
      continue;
    }
    const node = nodeAt(tree, path, source.value);
    const wanted = node === undefined ? issue.message : wantedText(node);
    add(path, `got ${givenText(valueAt(source.value, path))}, wanted ${wanted}`);
  }
  return [...faults.values()];
}

function unknownKeyText(
  tree: SchemaNode,
  sectionPath: KeyPath,
  source: ConfigSource,
  key: string,
): string {
  const value = valueAt(source.value, sectionPath);
  const section = nodeAt(tree, sectionPath, source.value);
  const suggestion = suggestKey(tree, section, sectionPath, value, key);
  return suggestion === null ? 'unknown key' : `unknown key, did you mean ${suggestion}?`;
}

function crossFaults<T>(schema: ConfigSchema<T>, config: T, source: ConfigSource): ConfigFault[] {
  return schema.crossFaults(config).map(({ keys, message }) => ({
    key: keys[0],
    ...placeOfAny(source, keys),
    message,
  }));
}

/**
 * Finds faults that involve several keys although some keys are faulty: the faulty ones are replaced
 * by their defaults, and faults that involve them are left out. Finds none if a faulty key has no
 * default.
 */
function crossFaultsBesides<T>(
  schema: ConfigSchema<T>,
  faults: readonly ConfigFault[],
  source: ConfigSource,
): ConfigFault[] {
  const value = structuredClone(source.value);
  for (const fault of faults) removeAt(value, fault.key.split('.'));
  const parsed = schema.root.safeParse(value);
  if (!parsed.success) return [];
  const touched = (key: string) =>
    faults.some(
      (fault) =>
        key === fault.key || key.startsWith(`${fault.key}.`) || fault.key.startsWith(`${key}.`),
    );
  const untouched = (config: T) =>
    schema.crossFaults(config).filter(({ keys }) => !keys.some(touched));
  return crossFaults({ ...schema, crossFaults: untouched }, parsed.data, source);
}

/** The place of the first of the keys that the source contains; the others are defaults. */
function placeOfAny(source: ConfigSource, keys: readonly string[]): FaultPlace {
  const paths = keys.map((key) => key.split('.'));
  const given = paths.find((path) => valueAt(source.value, path) !== undefined);
  return given === undefined ? { line: null, override: null } : source.place(given);
}

function valueAt(value: unknown, path: KeyPath): unknown {
  return path.reduce(memberOf, value);
}

function removeAt(value: unknown, path: KeyPath): void {
  const section = valueAt(value, path.slice(0, -1));
  if (section !== null && typeof section === 'object') {
    delete (section as Record<string | number, unknown>)[path.at(-1) ?? ''];
  }
}
