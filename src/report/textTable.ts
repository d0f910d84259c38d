/** A table for the terminal. */
import type { ReportTable } from './reportData.js';

/** Aligns the first column left and the others right. Ends with a newline. */
export function textTable({ columns, rows }: ReportTable): string {
  const widths = columns.map((column, index) =>
    Math.max(...[column, ...rows.map((row) => row[index] ?? '')].map((cell) => cell.length)),
  );
  const line = (cells: readonly string[]) =>
    widths
      .map((width, index) => {
        const cell = cells[index] ?? '';
        return index === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('   ')
      .trimEnd();
  const rule = '─'.repeat(widths.reduce((total, width) => total + width + 3, -3));
  return `${[line(columns), rule, ...rows.map(line)].join('\n')}\n`;
}
