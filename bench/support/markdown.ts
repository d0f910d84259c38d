/** Measurements as Markdown: paragraphs, tables, cells, goals. */
import { markdownTable as reportTable } from '../../src/report/markdownTable.js';
import { median, quartiles, type RatioOfRounds } from './statistics.js';

/** Empty ones are left out. */
export function paragraphs(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('\n\n');
}

/** A header and the cell below it. */
export type Column<Row> = readonly [header: string, cell: (row: Row) => string];

export function tableOf<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  return markdownTable(
    columns.map(([header]) => header),
    rows.map((row) => columns.map(([, cell]) => cell(row))),
  );
}

export function markdownTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  return reportTable({ columns: header, rows });
}

/** What was wanted of a figure, and whether it was reached. */
export function goalRow(name: string, got: number, sign: '≤' | '≥', wanted: number): string[] {
  const reached = sign === '≤' ? got <= wanted : got >= wanted;
  return [name, `${sign} ${wanted}`, got.toFixed(got < 1 ? 3 : 2), reached ? 'yes' : '**no**'];
}

export function goalTableOf(rows: readonly string[][]): string {
  return markdownTable(['goal', 'wanted', 'measured', 'reached'], rows);
}

type Format = (value: number) => string;

export const seconds: Format = (ms) => (ms / 1000).toPrecision(3);

export const times: Format = (ratio) => ratio.toPrecision(2);

export const mib: Format = (value) => value.toFixed(0);

export const fixed = (digits: number): Format => {
  return (value) => value.toFixed(digits);
};

/** @param digits behind the point */
export const percent = (digits: number): Format => {
  return (share) => `${(100 * share).toFixed(digits)} %`;
};

/** Behind a value in brackets what it lies between. */
export function within(value: number, range: readonly [number, number], format: Format): string {
  return `${format(value)} (${range.map(format).join('–')})`;
}

/** Median and quartiles. */
export function spread(values: readonly number[], format: Format): string {
  return within(median(values), quartiles(values), format);
}

/** With the quartiles of the rounds. */
export function ratioCell(of: RatioOfRounds, format: Format): string {
  return within(of.ratio, of.quartiles, format);
}
