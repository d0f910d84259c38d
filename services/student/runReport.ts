/** The report of one run, from its folder: curves, scores, predictions, config. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset, Sample } from '../../src/data/types.js';
import type { LabelArray, SegmentationScores } from '../../src/evaluate/confusion.js';
import { gridPicture } from '../../src/evaluate/pictures.js';
import { ensureFolder, replaceFile } from '../../src/run/durableFiles.js';
import { type RunEvent, readEvents } from '../../src/run/events.js';
import { type ReportPictures, type ReportTable, writeReport } from '../../src/run/report.js';
import { learningRateChart, lossChart, miouChart, timeChart } from '../../src/run/runCharts.js';
import type { RunFolder } from '../../src/run/runFolder.js';
import { evaluationRecords, stepRecords, throughput } from '../../src/run/stepRecords.js';
import { environmentText } from './environment.js';

/** One image of the validation set and what the student sees in it. */
export interface ShownPrediction {
  readonly sample: Sample;
  readonly prediction: LabelArray;
}

export interface RunReportInput {
  readonly id: string;
  readonly dataset: Pick<Dataset, 'classNames' | 'palette'>;
  readonly scores: SegmentationScores;
  /** All of one size; none: no pictures. */
  readonly shown: readonly ShownPrediction[];
}

/** Writes report.html, report.png and pictures/grid.png; returns the paths of the first two. */
export async function writeRunReport(
  folder: RunFolder,
  { id, dataset, scores, shown }: RunReportInput,
): Promise<{ html: string; png: string }> {
  const events = await readEvents(folder.eventsFile);
  const steps = stepRecords(events);
  const evaluations = evaluationRecords(events);
  const charts = [lossChart(steps), timeChart(steps), learningRateChart(steps)];
  if (evaluations.length > 1) {
    charts.splice(1, 0, miouChart([{ name: 'student', records: evaluations }]));
  }
  const { imagesPerSecond, teacherShare } = throughput(steps);
  return writeReport(folder.path, {
    title: `Run ${id}`,
    table: scoresTable(dataset.classNames, scores, [
      ['steps', String(steps.at(-1)?.step ?? 0)],
      ['images a second', imagesPerSecond.toFixed(1)],
      ['waiting for teachers', percent(teacherShare)],
    ]),
    charts,
    pictures: await picturesOf(folder, dataset, shown),
    details: [
      { name: 'Config', text: await readFile(folder.configFile, 'utf8') },
      { name: 'Teacher', text: JSON.stringify(startOf(events)['teacher'], null, 2) },
      { name: 'Environment', text: environmentText(engineOf(events)) },
    ],
  });
}

/** What the last start of a run said of itself. */
export function startOf(events: readonly RunEvent[]): Readonly<Record<string, unknown>> {
  return events.findLast(({ kind }) => kind === 'start') ?? { teacher: null };
}

/** The engine's versions, from the start event. */
export function engineOf(events: readonly RunEvent[]): Readonly<Record<string, unknown>> {
  return (startOf(events)['engine'] ?? {}) as Record<string, unknown>;
}

/** 0.4273 → 42.7 % */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function scoresTable(
  classNames: readonly string[],
  { miou, pixelAccuracy, iou, union }: SegmentationScores,
  more: readonly (readonly [string, string])[],
): ReportTable {
  return {
    columns: ['', 'student'],
    rows: [
      ['mean IoU', percent(miou)],
      ['pixel accuracy', percent(pixelAccuracy)],
      ...classNames.map((name, k) => [`IoU ${name}`, union[k] === 0 ? '–' : percent(iou[k]!)]),
      ...more,
    ],
  };
}

async function picturesOf(
  folder: RunFolder,
  { palette }: RunReportInput['dataset'],
  shown: readonly ShownPrediction[],
): Promise<ReportPictures | null> {
  if (shown.length === 0) return null;
  const { rowLabels, images, sheet } = await gridPicture(
    shown.map(({ sample }) => sample),
    [{ label: 'student', maps: shown.map(({ prediction }) => prediction) }],
    palette,
  );
  await ensureFolder(folder.picturesFolder);
  await replaceFile(join(folder.picturesFolder, 'grid.png'), sheet.png);
  return { title: 'Predictions on val', rowLabels, images };
}
