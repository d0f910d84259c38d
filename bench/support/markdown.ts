/** Tables of measurements as Markdown. */

export function markdownTable(header: readonly string[], rows: readonly string[][]): string {
  return [header, header.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

export const GOAL_HEADER = ['goal', 'wanted', 'measured', 'reached'] as const;

/** A row below GOAL_HEADER. */
export function goalRow(name: string, got: number, sign: '≤' | '≥', wanted: number): string[] {
  const reached = sign === '≤' ? got <= wanted : got >= wanted;
  return [name, `${sign} ${wanted}`, got.toFixed(got < 1 ? 3 : 2), reached ? 'yes' : '**no**'];
}

export const seconds = (ms: number) => (ms / 1000).toPrecision(3);

export const times = (ratio: number) => ratio.toPrecision(2);

export const mib = (value: number) => value.toFixed(0);
