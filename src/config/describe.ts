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
export function describeSchema<T>(schema: ConfigSchema<T>): string {
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
  return (node.oneOf ?? [node]).flatMap((section) => {
    const entries = Object.entries(section.properties ?? {});
    const kind = entries.find(([, child]) => child.const !== undefined)?.[1].const;
    return entries.flatMap(([key, child]) => {
      const path = `${prefix}${key}`;
      const fixed = child.fixed ?? inherited;
      if (isSection(child)) {
        return [row(`**\`${path}\`**`, child.doc ?? '', '', ''), ...rows(child, `${path}.`, fixed)];
      }
      const alternative =
        node.oneOf === undefined || child.const !== undefined ? '' : ` (kind ${kind})`;
      return [
        row(`\`${path}\`${alternative}`, meaning(child, fixed), wantedText(child), preset(child)),
      ];
    });
  });
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
