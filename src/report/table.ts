/** What both forms of a table need to know, and how figures are written in one. */

/** 0.4273 → 42.7 % */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Whether a column holds numbers (percent signs, dashes for "none" and ± allowed). */
export function isNumeric(rows: readonly (readonly string[])[], column: number): boolean {
  const cells = rows.map((row) => row[column] ?? '').filter((cell) => !/^[-–—]?$/.test(cell));
  return (
    cells.length > 0 && cells.every((cell) => /^[+\-−±\d][\d.,:\s%±+\-−e]*[a-zA-Z/]*$/.test(cell))
  );
}
