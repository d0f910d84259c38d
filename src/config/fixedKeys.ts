/** Finds changed keys that a resumed run must not change. */
import type { ConfigSchema } from './fields.js';
import type { SchemaNode } from './schemaTree.js';
import { isSection, memberOf, schemaTree } from './schemaTree.js';

export interface ChangedKey {
  readonly key: string;
  /** undefined if the key was missing. */
  readonly was: unknown;
  readonly is: unknown;
}

/**
 * The keys marked `fixed` whose values differ between the config of a saved run and the config to
 * resume it with; empty if the run may be resumed.
 */
export function changedFixedKeys<T>(schema: ConfigSchema<T>, was: T, is: T): ChangedKey[] {
  const changed: ChangedKey[] = [];
  for (const path of fixedKeys(schemaTree(schema))) {
    const before = path.reduce<unknown>(memberOf, was);
    const after = path.reduce<unknown>(memberOf, is);
    if (JSON.stringify(before) !== JSON.stringify(after)) {
      changed.push({ key: path.join('.'), was: before, is: after });
    }
  }
  return changed;
}

function fixedKeys(tree: SchemaNode): string[][] {
  const found = new Map<string, string[]>();
  collect(tree, [], false, found);
  return [...found.values()];
}

function collect(
  node: SchemaNode,
  path: string[],
  inherited: boolean,
  found: Map<string, string[]>,
): void {
  for (const section of node.oneOf ?? [node]) {
    for (const [key, child] of Object.entries(section.properties ?? {})) {
      const fixed = child.fixed ?? inherited;
      const childPath = [...path, key];
      if (isSection(child)) collect(child, childPath, fixed, found);
      else if (fixed) found.set(childPath.join('.'), childPath);
    }
  }
}
