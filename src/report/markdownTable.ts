/** A table as Markdown. */
import type { ReportTable } from './reportData.js';

export function markdownTable({ columns, rows }: ReportTable): string {
  return [columns, columns.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}
