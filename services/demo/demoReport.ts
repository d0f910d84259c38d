/** The report of a demo: teacher, label-only student and CIRKD student side by side. */
import type { GridPicture } from '../../src/evaluate/pictures.js';
import type { ScoreReport } from '../../src/evaluate/scoreTable.js';
import type { Chart } from '../../src/report/charts/chart.js';
import { paletteColor } from '../../src/report/palette.js';
import type { ReportData, ReportPictures, ReportTable } from '../../src/report/reportData.js';
import {
  classChart,
  learningRateChart,
  lossChart,
  miouChart,
  termChart,
  timeChart,
  timeShareChart,
} from '../../src/report/runCharts.js';
import {
  evaluationRecords,
  stepRecords,
  type Throughput,
  throughput,
} from '../../src/report/stepRecords.js';
import { percent, pointsBetween } from '../../src/report/table.js';
import type { LagRecord } from './lagProbe.js';
import type { StudentRun } from './studentChild.js';

export interface DemoResult {
  readonly steps: number;
  readonly seed: number;
  readonly teacher: ScoreReport;
  readonly baseline: StudentRun;
  readonly cirkd: StudentRun;
  /** Event-loop lag during the CIRKD run. */
  readonly lag: { readonly teacher: LagRecord; readonly student: LagRecord };
  readonly pictures: GridPicture | null;
  readonly legend: ReportPictures['legend'];
  /** Details for the end of the HTML. */
  readonly details: ReportData['details'];
}

export const BASELINE = 'labels alone';
export const CIRKD = 'CIRKD';

export function demoReport(result: DemoResult): ReportData {
  const { steps, seed, pictures, legend = [], details } = result;
  return {
    title: `CIRKD demo: ${steps} steps, seed ${seed}`,
    table: demoTable(result),
    charts: demoCharts(result),
    pictures:
      pictures === null
        ? null
        : {
            ...{ title: 'Predictions on val', legend },
            ...{ rowLabels: pictures.rowLabels, images: pictures.images },
          },
    details,
  };
}

/** Scores, classes and speed, one column per network. */
export function demoTable({ teacher, baseline, cirkd, lag }: DemoResult): ReportTable {
  const row = (name: string, of: number, labels: number, distilled: number) => [
    name,
    percent(of),
    percent(labels),
    percent(distilled),
    pointsBetween(distilled, labels, 1),
  ];
  const [base, distilled] = [baseline.scores, cirkd.scores];
  const { imagesPerSecond, teacherShare } = speed(cirkd);
  const images = imagesPerSecond.toFixed(1);
  return {
    columns: ['', 'teacher', BASELINE, CIRKD, 'CIRKD − labels, points'],
    rows: [
      row('mean IoU', teacher.miou, base.miou, distilled.miou),
      row('pixel accuracy', teacher.pixelAccuracy, base.pixelAccuracy, distilled.pixelAccuracy),
      ...teacher.classes.map(({ name, iou }) =>
        row(`IoU ${name}`, iou ?? 0, base.iou[name] ?? 0, distilled.iou[name] ?? 0),
      ),
      ['images per second', '–', speed(baseline).imagesPerSecond.toFixed(1), images, '–'],
      ['waiting for the teacher', '–', '–', percent(teacherShare), '–'],
      ['event-loop lag, p99', largestLag(lag.teacher), '–', largestLag(lag.student), '–'],
    ],
  };
}

/** The largest lag of all scrapes. */
export function largestLag({ largest }: LagRecord): string {
  return largest === null ? '–' : `${(1000 * largest).toFixed(1)} ms`;
}

export function speed({ events }: StudentRun): Throughput {
  return throughput(stepRecords(events));
}

/** Each network has the same colour in all charts. */
const COLORS = {
  [BASELINE]: paletteColor(0),
  [CIRKD]: paletteColor(1),
  teacher: paletteColor(2),
} as const;

function shown(name: keyof typeof COLORS) {
  return { name, color: COLORS[name] };
}

function demoCharts({ teacher, baseline, cirkd, lag }: DemoResult): Chart[] {
  const runs = [
    { ...shown(BASELINE), records: stepRecords(baseline.events) },
    { ...shown(CIRKD), records: stepRecords(cirkd.events) },
  ];
  const evaluations = [
    { ...shown(BASELINE), records: evaluationRecords(baseline.events) },
    { ...shown(CIRKD), records: evaluationRecords(cirkd.events) },
  ];
  const distilled = stepRecords(cirkd.events);
  const classNames = teacher.classes.map(({ name }) => name);
  return [
    lossChart(distilled, 'CIRKD: terms, unweighted, and their weighted total'),
    termChart('task', runs, 'Task loss of both students'),
    ...(evaluations.some(({ records }) => records.length > 1) ? [miouChart(evaluations)] : []),
    classChart(classNames, [
      { ...shown('teacher'), iou: teacher.classes.map(({ iou }) => iou) },
      { ...shown(BASELINE), iou: classNames.map((name) => baseline.scores.iou[name] ?? null) },
      { ...shown(CIRKD), iou: classNames.map((name) => cirkd.scores.iou[name] ?? null) },
    ]),
    timeShareChart(runs),
    timeChart(distilled, 'CIRKD: time per step'),
    learningRateChart(distilled),
    lagChart(lag),
  ];
}

function lagChart({ teacher, student }: DemoResult['lag']): Chart {
  const series = (name: string, color: string, { points }: LagRecord) => ({
    ...{ name, color },
    points: points.map(([seconds, lag]) => [seconds, 1000 * lag] as const),
  });
  return {
    title: 'Event-loop lag during the CIRKD run, p99',
    xLabel: 'seconds',
    yLabel: 'ms',
    series: [series('teacher', COLORS.teacher, teacher), series('student', COLORS[CIRKD], student)],
  };
}
