/** The report of a study: table, curves with bands, classes, pictures. */
import type { BarChart, Chart, LineChart } from '../charts/chart.js';
import { paletteColor } from '../palette.js';
import type { ReportData, ReportPictures } from '../reportData.js';
import { spreadOf } from './pairedTest.js';
import { failedRuns, type FinishedRun, finishedRuns, type StudyResults } from './studyRecord.js';
import {
  classNames,
  classTable,
  failureTable,
  mainFinding,
  scoreTable,
  seedTable,
  timeTable,
} from './studyTables.js';

export interface StudyReportParts {
  /** Predictions of one seed's runs; null: none were saved. */
  readonly pictures: ReportPictures | null;
  /** Longer texts for the end of the HTML. */
  readonly details: ReportData['details'];
}

export function studyReport(
  results: StudyResults,
  { pictures, details }: StudyReportParts,
): ReportData {
  const failures = failedRuns(results);
  return {
    title: `Study ${results.name}`,
    subtitle: mainFinding(results),
    table: scoreTable(results),
    charts: studyCharts(results),
    pictures,
    moreTables: [
      { title: 'Every run', table: seedTable(results) },
      { title: 'Classes', table: classTable(results) },
      { title: 'Time', table: timeTable(results) },
      ...(failures.length === 0 ? [] : [{ title: 'Failed runs', table: failureTable(results) }]),
    ],
    details: [
      ...failures.map(({ variant, seed, lastLines }) => ({
        name: `Last lines of ${variant}, seed ${seed}`,
        text: lastLines.join('\n'),
      })),
      ...details,
    ],
  };
}

function studyCharts(results: StudyResults): Chart[] {
  const scores = curves(results, {
    title: 'Mean IoU on val: mean of the seeds, ± one standard deviation',
    yLabel: 'mIoU, %',
    points: ({ evaluations }) => evaluations.map(([step, miou]) => [step, 100 * miou]),
  });
  const losses = curves(results, {
    title: 'Task loss: mean of the seeds, ± one standard deviation',
    yLabel: 'task loss',
    points: ({ taskLoss }) => taskLoss,
  });
  const hasCurve = scores.series.some(({ points }) => points.length > 1);
  return [...(hasCurve ? [scores] : []), losses, classBars(results)];
}

interface Curves {
  readonly title: string;
  readonly yLabel: string;
  readonly points: (run: FinishedRun) => readonly (readonly [number, number])[];
}

function curves(results: StudyResults, { title, yLabel, points }: Curves): LineChart {
  return {
    ...{ title, yLabel, xLabel: 'step' },
    series: results.variants.map(({ name, title: variant }, i) => {
      const spreads = spreadsByStep(finishedRuns(results, name).map(points));
      return {
        ...{ name: variant, color: paletteColor(i) },
        points: spreads.map(({ step, mean }) => [step, mean] as const),
        band: spreads.map(
          ({ step, mean, deviation }) => [step, mean - deviation, mean + deviation] as const,
        ),
      };
    }),
  };
}

/** At the steps that all runs have: those of different length or interval would make the mean jump. */
function spreadsByStep(runs: readonly (readonly (readonly [number, number])[])[]) {
  const [first = [], ...others] = runs.map((points) => new Map(points));
  return [...first.keys()]
    .filter((step) => others.every((points) => points.has(step)))
    .map((step) => {
      const spread = spreadOf(
        [first, ...others].map((points) => (points as Map<number, number>).get(step)!),
      )!;
      return { step, mean: spread.mean, deviation: spread.deviation ?? 0 };
    });
}

/** Mean IoU of every class. */
function classBars(results: StudyResults): BarChart {
  const categories = classNames(results);
  return {
    ...{ kind: 'bars', title: 'IoU of each class on val, mean of the seeds', yLabel: 'IoU, %' },
    categories,
    series: results.variants.map(({ name, title }, i) => ({
      ...{ name: title, color: paletteColor(i) },
      values: categories.map((category) => {
        const values = finishedRuns(results, name).flatMap(({ iou }) => iou[category] ?? []);
        const spread = spreadOf(values);
        return spread === null ? null : 100 * spread.mean;
      }),
    })),
  };
}
