/** Formats the text and the bar of a progress display; stateless. */

export interface ProgressFigures {
  readonly step: number;
  readonly totalSteps: number;
  readonly losses: Readonly<Record<string, number>>;
  readonly imagesPerSecond: number;
  /** Part of the time spent waiting for teachers, 0..1. */
  readonly teacherShare: number;
  /** Part of the time spent in collectives, 0..1; null without other ranks. */
  readonly collectiveShare: number | null;
  readonly secondsLeft: number;
}

const BAR_CELLS = 30;

/** Two lines no wider than the terminal: the bar with the pace, and the terms. */
export function barLines(figures: ProgressFigures, columns: number): string[] {
  const { step, totalSteps } = figures;
  const pace = paceText(figures);
  const room = columns - 1 - ` ${step}/${totalSteps}  ${pace}`.length;
  const bar = barText(totalSteps === 0 ? 1 : step / totalSteps, Math.min(BAR_CELLS, room));
  return [`${bar} ${step}/${totalSteps}  ${pace}`, `  ${termsText(figures.losses)}`].map((line) =>
    line.trimStart() === '' ? line : line.slice(0, Math.max(columns - 1, 1)),
  );
}

export function plainLine(figures: ProgressFigures): string {
  const { step, totalSteps, losses } = figures;
  return `step ${step}/${totalSteps}  ${termsText(losses)}  ${paceText(figures)}`;
}

/** 42s, 4m12s, 3h05m. */
export function durationText(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
}

function paceText(figures: ProgressFigures): string {
  const { imagesPerSecond, teacherShare, collectiveShare, secondsLeft } = figures;
  const group = collectiveShare === null ? '' : `  in collectives ${percent(collectiveShare)}`;
  const speed = imagesPerSecond < 100 ? imagesPerSecond.toPrecision(3) : imagesPerSecond.toFixed(0);
  const waiting = `waiting for teachers ${percent(teacherShare)}${group}`;
  return `${speed} images/s  ${waiting}  ${durationText(secondsLeft)} left`;
}

function percent(share: number): string {
  return `${Math.round(100 * Math.min(Math.max(share, 0), 1))}%`;
}

function termsText(losses: Readonly<Record<string, number>>): string {
  return Object.entries(losses)
    .map(([term, value]) => `${term} ${value.toFixed(4)}`)
    .join('  ');
}

/** Full blocks and one partial block in eighths; empty if there is no room. */
function barText(done: number, cells: number): string {
  if (cells < 5) return '';
  const eighths = Math.round(Math.min(Math.max(done, 0), 1) * cells * 8);
  const full = Math.floor(eighths / 8);
  const partial = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8] ?? '';
  return `${'█'.repeat(full)}${partial}`.padEnd(cells, '·');
}
