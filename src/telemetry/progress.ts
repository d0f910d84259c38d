/** Shows a run's progress: a bar on a terminal, plain lines at intervals elsewhere. */
import type { LineSink } from './safeWriter.js';
import { barLines, plainLine } from './progressText.js';
import { safeWriter } from './safeWriter.js';

export interface ProgressStep {
  /** Number of steps that the run has done. */
  readonly step: number;
  /** Number of crops in this step. */
  readonly images: number;
  readonly seconds: number;
  /** Part of `seconds` spent waiting for teachers. */
  readonly teacherSeconds: number;
  /** Part of `seconds` spent in collectives; absent without other ranks. */
  readonly collectiveSeconds?: number;
  /** Terms in the order in which they are shown. */
  readonly losses: Readonly<Record<string, number>>;
}

/** A terminal (isTTY) gets a bar, anything else gets lines. */
export interface ProgressStream extends LineSink {
  readonly columns?: number;
}

export interface ProgressOptions {
  readonly stream: ProgressStream;
  readonly totalSteps: number;
  /** Without a terminal: the number of steps between lines; the last step always gets one. */
  readonly everySteps: number;
  /** Clock in milliseconds that limits the bar's redraws. Default: performance.now. */
  readonly now?: () => number;
}

/** Never throws: a run doesn't end because its terminal was closed. */
export interface Progress extends LineSink {
  update(step: ProgressStep): void;
  /** Prints log lines above the bar. */
  write(line: string): void;
  /** Leaves the bar as it was last drawn; later lines are printed below it. */
  done(): void;
}

const REDRAW_MS = 100;
/** Weight of the newest step in the running means; in the first 10 steps they are plain means. */
const NEWEST_WEIGHT = 0.1;

/** Running means over steps, so that one slow step doesn't make the remaining time jump. */
interface Pace {
  steps: number;
  images: number;
  seconds: number;
  teacherSeconds: number;
  /** null without other ranks. */
  collectiveSeconds: number | null;
}

export function createProgress(options: ProgressOptions): Progress {
  const { stream, totalSteps, everySteps } = options;
  const now = options.now ?? (() => performance.now());
  const isTerminal = stream.isTTY === true;
  const put = safeWriter(stream);
  let pace: Pace | null = null;
  let drawn: readonly string[] = [];
  let lastDrawMs = Number.NEGATIVE_INFINITY;

  // Moves up to the bar's first line and clears each line on the way.
  const erased = () => (drawn.length === 0 ? '' : `${'\x1b[1A\x1b[2K'.repeat(drawn.length)}\r`);
  const bar = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');

  return {
    isTTY: isTerminal,
    update(step) {
      pace = nextPace(pace, step);
      const isLast = step.step >= totalSteps;
      const figures = { ...step, totalSteps, ...rates(pace, totalSteps - step.step) };
      if (!isTerminal) {
        if (isLast || step.step % everySteps === 0) put(`${plainLine(figures)}\n`);
        return;
      }
      if (!isLast && now() - lastDrawMs < REDRAW_MS) return;
      lastDrawMs = now();
      const lines = barLines(figures, stream.columns || 80);
      put(erased() + bar(lines));
      drawn = lines;
    },
    write(line) {
      put(isTerminal ? erased() + line + bar(drawn) : line);
    },
    done() {
      drawn = [];
    },
  };
}

function nextPace(pace: Pace | null, step: ProgressStep): Pace {
  const { images, seconds, teacherSeconds, collectiveSeconds = null } = step;
  if (pace === null) return { steps: 1, images, seconds, teacherSeconds, collectiveSeconds };
  const steps = pace.steps + 1;
  const weight = Math.max(NEWEST_WEIGHT, 1 / steps);
  const mix = (old: number, newest: number) => old + weight * (newest - old);
  return {
    steps,
    images: mix(pace.images, images),
    seconds: mix(pace.seconds, seconds),
    teacherSeconds: mix(pace.teacherSeconds, teacherSeconds),
    collectiveSeconds:
      collectiveSeconds === null ? null : mix(pace.collectiveSeconds ?? 0, collectiveSeconds),
  };
}

function rates(pace: Pace, stepsLeft: number) {
  const seconds = Math.max(pace.seconds, 1e-9);
  return {
    imagesPerSecond: pace.images / seconds,
    teacherShare: pace.teacherSeconds / seconds,
    collectiveShare: pace.collectiveSeconds === null ? null : pace.collectiveSeconds / seconds,
    secondsLeft: stepsLeft * pace.seconds,
  };
}
