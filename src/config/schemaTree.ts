/**
 * A schema as a plain tree (JSON Schema with our notes). Messages, docs and the list of fixed keys are
 * made from it, so that they can't contradict the validation.
 */
import { z } from 'zod';
import type { ConfigSchema } from './fields.js';
import { fieldNotes } from './fields.js';

export interface SchemaNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode | boolean;
  /** Of a section whose keys are names of one's own. */
  readonly additionalProperties?: SchemaNode | boolean;
  readonly prefixItems?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
  readonly default?: unknown;
  readonly doc?: string;
  readonly unit?: string;
  readonly fixed?: boolean;
  readonly wanted?: string;
  readonly isPath?: boolean;
}

export type KeyPath = readonly (string | number)[];

const trees = new WeakMap<z.ZodType, SchemaNode>();

export function schemaTree<T>(schema: ConfigSchema<T>): SchemaNode {
  let tree = trees.get(schema.root);
  if (tree === undefined) {
    tree = z.toJSONSchema(schema.root, { metadata: fieldNotes, io: 'input' }) as SchemaNode;
    trees.set(schema.root, tree);
  }
  return tree;
}

/** Joins a path to key.path; list positions count as keys. */
export function keyOf(path: KeyPath): string {
  return path.join('.');
}

/** Every key of the whole tree with its node, including all alternatives of a section. */
export function* walkKeys(
  node: SchemaNode,
  prefix: readonly string[] = [],
): Generator<{ path: readonly string[]; node: SchemaNode; required: boolean }> {
  for (const alternative of node.oneOf ?? [node]) {
    for (const [key, child] of Object.entries(alternative.properties ?? {})) {
      const path = [...prefix, key];
      yield { path, node: child, required: alternative.required?.includes(key) ?? false };
      yield* walkKeys(child, path);
    }
  }
}

/** The node at a path; where a section has alternatives, those that fit `value` are followed. */
export function nodeAt(root: SchemaNode, path: KeyPath, value: unknown): SchemaNode | undefined {
  let node: SchemaNode | undefined = root;
  let here = value;
  for (const segment of path) {
    if (node === undefined) return undefined;
    node = childNode(node, segment, here);
    here = memberOf(here, segment);
  }
  return node;
}

/** The keys that a section may have, given its present value. */
export function knownKeys(node: SchemaNode | undefined, value: unknown): string[] {
  if (node === undefined) return [];
  const fitting = alternativesFor(node, value);
  return [...new Set(fitting.flatMap((section) => Object.keys(section.properties ?? {})))];
}

/** A member of an untrusted value; inherited members are left out. */
export function memberOf(value: unknown, segment: string | number): unknown {
  if (value === null || typeof value !== 'object' || !Object.hasOwn(value, segment)) {
    return undefined;
  }
  return (value as Record<string | number, unknown>)[segment];
}

/** Whether a value of this node is a section with keys. */
export function isSection(node: SchemaNode): boolean {
  return node.properties !== undefined || node.oneOf !== undefined;
}

function childNode(
  node: SchemaNode,
  segment: string | number,
  value: unknown,
): SchemaNode | undefined {
  if (typeof segment === 'number') {
    // A list that may be null is an alternative.
    const list = [node, ...(node.anyOf ?? [])].find(({ type }) => type === 'array');
    const rest = typeof list?.items === 'object' ? list.items : undefined;
    return list?.prefixItems?.[segment] ?? rest;
  }
  const found = alternativesFor(node, value)
    .map((section) => memberOf(section.properties, segment) as SchemaNode | undefined)
    .filter((child) => child !== undefined);
  const { additionalProperties: named } = node;
  if (found.length === 0 && typeof named === 'object') return named;
  const constants = found.filter((child) => child.const !== undefined);
  // The key that distinguishes the alternatives may have any of their values.
  if (constants.length > 1) return { enum: constants.map((child) => child.const) };
  return found[0];
}

function alternativesFor(node: SchemaNode, value: unknown): readonly SchemaNode[] {
  if (node.oneOf === undefined) return [node];
  const fitting = node.oneOf.filter((section) =>
    Object.entries(section.properties ?? {}).every(
      ([key, child]) => child.const === undefined || child.const === memberOf(value, key),
    ),
  );
  return fitting.length > 0 ? fitting : node.oneOf;
}
