/** Describes the value that a key wants, and the value that was given. */
import type { SchemaNode } from './schemaTree.js';

const MAX_SHOWN_CHARACTERS = 80;

/** "an integer >= 1", "one of fp32, fp16", "a list of 3: a number > 0, ...". */
export function wantedText(node: SchemaNode): string {
  if (node.wanted !== undefined) return node.wanted;
  if (node.anyOf !== undefined) return node.anyOf.map(wantedText).join(' or ');
  if (node.enum !== undefined) {
    return node.enum.length === 1 ? `${node.enum[0]}` : `one of ${node.enum.join(', ')}`;
  }
  if (node.const !== undefined) return String(node.const);
  if (node.oneOf !== undefined) {
    return node.oneOf.map((section) => sectionText(section)).join(' or ');
  }
  switch (node.type) {
    case 'integer':
      return `an integer${rangeText(node)}`;
    case 'number':
      return `a number${rangeText(node)}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      return 'text, not empty';
    case 'array':
      return listText(node);
    case 'object':
      return sectionText(node);
    default:
      return node.type ?? 'a value';
  }
}

/** A value as shown in messages: JSON, shortened if long; "nothing" if it is missing. */
export function givenText(value: unknown): string {
  if (value === undefined) return 'nothing';
  // JSON would write null.
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  const json = JSON.stringify(value, (_key, item) =>
    typeof item === 'bigint' ? String(item) : item,
  );
  if (json === undefined) return typeof value;
  return json.length > MAX_SHOWN_CHARACTERS ? `${json.slice(0, MAX_SHOWN_CHARACTERS)}…` : json;
}

function rangeText(node: SchemaNode): string {
  const { minimum, exclusiveMinimum, exclusiveMaximum } = node;
  // zod adds the range of exact integers, which isn't a limit of the key.
  const maximum = node.maximum === Number.MAX_SAFE_INTEGER ? undefined : node.maximum;
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  const limits: string[] = [];
  if (exclusiveMinimum !== undefined) limits.push(`> ${exclusiveMinimum}`);
  if (minimum !== undefined && minimum !== Number.MIN_SAFE_INTEGER) limits.push(`>= ${minimum}`);
  if (exclusiveMaximum !== undefined) limits.push(`< ${exclusiveMaximum}`);
  if (maximum !== undefined) limits.push(`<= ${maximum}`);
  return limits.length === 0 ? '' : ` ${limits.join(' and ')}`;
}

function listText(node: SchemaNode): string {
  if (node.prefixItems !== undefined) {
    const kinds = [...new Set(node.prefixItems.map(wantedText))];
    const each = kinds.length === 1 ? `each ${kinds[0]}` : kinds.join(', ');
    return `a list of ${node.prefixItems.length} values, ${each}`;
  }
  const item = typeof node.items === 'object' ? wantedText(node.items) : 'a value';
  return `a list${node.minItems === undefined ? '' : `, at least ${node.minItems} long`}, each ${item}`;
}

function sectionText(node: SchemaNode): string {
  return `a section {${Object.entries(node.properties ?? {})
    .map(([key, child]) => (child.const === undefined ? key : `${key}: ${child.const}`))
    .join(', ')}}`;
}
