/** The reference of every key, written from the schemas themselves. */
import type { ConfigSchema } from './fields.js';
import type { SchemaNode } from './schemaTree.js';
import { isSection, schemaTree } from './schemaTree.js';
import { studentSchema } from './student.js';
import { teacherSchema } from './teacher.js';
import { wantedText } from './wanted.js';

const INTRODUCTION = `# Configuration

<!-- Written by src/config/describe.ts from the schemas; a unit test compares. -->

A config is a YAML file; \`--set key.path=value\` lays single values over it. Unknown keys are
errors. A key marked **fixed** must not change when a run is resumed. Keys without a default must
be given.
`;

/** The text of docs/config.md. */
export function configReference(): string {
  return [INTRODUCTION, describeSchema(studentSchema), describeSchema(teacherSchema)].join('\n');
}

/** A Markdown table of every key of one service: meaning, what is wanted, default. */
function describeSchema<T>(schema: ConfigSchema<T>): string {
  return [
    `## ${schema.service}`,
    '',
    '| key | meaning | wanted | default |',
    '| --- | --- | --- | --- |',
    ...rows(schemaTree(schema), '', false),
    '',
  ].join('\n');
}

function rows(node: SchemaNode, prefix: string, inherited: boolean): string[] {
  const { oneOf } = node;
  if (oneOf === undefined) return rowsOf(node, prefix, inherited, '');
  const shared = keysOfAll(oneOf);
  const own = oneOf.flatMap((section) => {
    const kind = Object.values(section.properties ?? {}).find(
      ({ const: one }) => one !== undefined,
    );
    const keys = without(section, shared);
    return rowsOf(keys, prefix, inherited, ` (kind ${kind?.const})`);
  });
  const common = { properties: Object.fromEntries(shared) };
  return [...own, ...rowsOf(common, prefix, inherited, '')];
}

/** `suffix` follows keys that one alternative of a section has and others don't. */
function rowsOf(section: SchemaNode, prefix: string, inherited: boolean, suffix: string): string[] {
  return Object.entries(section.properties ?? {}).flatMap(([key, child]) => {
    const path = `${prefix}${key}`;
    const fixed = child.fixed ?? inherited;
    if (isSection(child)) {
      return [row(`**\`${path}\`**`, child.doc ?? '', '', ''), ...rows(child, `${path}.`, fixed)];
    }
    const alternative = child.const === undefined ? suffix : '';
    return [
      row(`\`${path}\`${alternative}`, meaning(child, fixed), wantedText(child), preset(child)),
    ];
  });
}

/** The keys that every alternative of a section has, in one meaning. */
function keysOfAll(alternatives: readonly SchemaNode[]): [string, SchemaNode][] {
  const [first, ...others] = alternatives;
  return Object.entries(first?.properties ?? {}).filter(([key, child]) =>
    others.every((other) => other.properties?.[key]?.doc === child.doc),
  );
}

function without(section: SchemaNode, keys: readonly (readonly [string, SchemaNode])[]) {
  const left = Object.entries(section.properties ?? {}).filter(
    ([key]) => !keys.some(([shared]) => shared === key),
  );
  return { properties: Object.fromEntries(left) };
}

function row(...cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function meaning(node: SchemaNode, fixed: boolean): string {
  const unit = node.unit === undefined ? '' : ` [${node.unit}]`;
  return `${node.doc ?? ''}${unit}${fixed ? ' **fixed**' : ''}`;
}

function preset(node: SchemaNode): string {
  return node.default === undefined ? '' : `\`${JSON.stringify(node.default)}\``;
}
