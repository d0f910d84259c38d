/**
 * The chart's values.schema.json: by hand but for teacher.config and student.config, which come from
 * the services' own schemas, less the keys that the chart sets.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type ConfigSchema, fieldNotes } from '../../../src/config/fields.js';
import { studentSchema } from '../../../src/config/student.js';
import { teacherSchema } from '../../../src/config/teacher.js';

export const VALUES_SCHEMA = fileURLToPath(
  new URL('../../../deploy/helm/cirkd/values.schema.json', import.meta.url),
);

/** What templates/_config.tpl lays over the values. */
const SET_BY_CHART = {
  teacher: ['checkpoint', 'listen', 'metrics', 'cache.directory'],
  student: [
    ...['run.directory', 'run.id', 'teacher.addresses', 'teacher.tls', 'teacher.tokenFile'],
    ...['metrics.host', 'metrics.port', 'distributed.workers', 'distributed.index'],
  ],
} as const;

/** zod's bound of every integer: it says nothing. */
const MAX_SAFE = Number.MAX_SAFE_INTEGER;

type Node = Record<string, unknown>;

/** The file's text as it should be, formatted by JSON.stringify. */
export function valuesSchemaText(): string {
  const schema = JSON.parse(readFileSync(VALUES_SCHEMA, 'utf8'));
  const { teacher, student } = schema.properties;
  teacher.properties.config = configNode(teacherSchema, SET_BY_CHART.teacher);
  student.properties.config = configNode(studentSchema, SET_BY_CHART.student);
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function configNode<T>(schema: ConfigSchema<T>, setByChart: readonly string[]): Node {
  const tree = z.toJSONSchema(schema.root, {
    target: 'draft-7',
    metadata: fieldNotes,
    io: 'input',
  }) as Node;
  delete tree['$schema'];
  for (const key of setByChart) remove(tree, key.split('.'));
  return asPart(tree) as Node;
}

function remove(section: Node, [key, ...rest]: readonly string[]): void {
  const properties = section['properties'] as Record<string, Node>;
  const child = properties[key!];
  if (child === undefined) throw new Error(`no key ${key} to leave to the chart`);
  if (rest.length > 0) remove(child, rest);
  else delete properties[key!];
}

/** A part of a config: nothing is required, since a recipe or a default may have the rest. */
function asPart(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(asPart);
  if (node === null || typeof node !== 'object') return node;
  const {
    doc,
    unit,
    fixed,
    wanted,
    isPath,
    required,
    oneOf,
    default: preset,
    ...kept
  } = node as Node;
  if (kept['maximum'] === MAX_SAFE) delete kept['maximum'];
  if (kept['minimum'] === -MAX_SAFE) delete kept['minimum'];
  const description = typeof doc === 'string' ? { description: described(doc, unit) } : {};
  const anyOf = oneOf === undefined ? {} : { anyOf: asPart(oneOf) };
  const rest = Object.entries(kept).map(([key, value]) => [
    key,
    key === 'properties' ? properties(value as Node) : asPart(value),
  ]);
  return { ...description, ...Object.fromEntries(rest), ...anyOf };
}

/** Keys of a config are not keywords of the schema, whatever they are called. */
function properties(nodes: Node): Node {
  return Object.fromEntries(Object.entries(nodes).map(([key, node]) => [key, asPart(node)]));
}

function described(doc: string, unit: unknown): string {
  return typeof unit === 'string' ? `${doc} [${unit}]` : doc;
}
