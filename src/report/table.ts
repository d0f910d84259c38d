/** Formats figures in tables, and tells numeric columns, for both report formats. */

/** 0.4273 → 42.7 % */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** A difference of shares (0..1) in percentage points: −0.0275 → −2.75 */
export function pointsBetween(value: number, against: number, decimals: number): string {
  const difference = (100 * (value - against)).toFixed(decimals);
  return value >= against ? `+${difference}` : difference.replace('-', '−');
}

/** Whether most cells of a column are numbers (percent signs, dashes for "none" and ± allowed). */
export function isNumeric(rows: readonly (readonly string[])[], column: number): boolean {
  const cells = rows.map((row) => row[column] ?? '').filter((cell) => !/^[-–—]?$/.test(cell));
  const numbers = cells.filter((cell) => /^[+\-−±\d][\d.,:\s%±+\-−e]*[a-zA-Z/]*$/.test(cell));
  return 2 * numbers.length > cells.length;
}
