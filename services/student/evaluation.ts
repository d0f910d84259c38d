/** Evaluates the student on data.val: scores, predictions for pictures, and their report. */
import { join } from 'node:path';
import type { DatasetConfig } from '../../src/data/datasets.js';
import { readSequentially } from '../../src/data/readSequentially.js';
import type { Dataset, Sample } from '../../src/data/types.js';
import {
  ConfusionMatrix,
  type LabelArray,
  type SegmentationScores,
  scores,
} from '../../src/evaluate/confusion.js';
import { gridPicture } from '../../src/evaluate/pictures.js';
import { classLegend, savePictures } from '../../src/report/pictures.js';
import { runReport } from '../../src/report/runReport.js';
import { readReportSource } from '../../src/report/source.js';
import { writeReport } from '../../src/report/writeReport.js';
import { ensureFolder, replaceFile } from '../../src/run/durableFiles.js';
import type { RunFolder } from '../../src/run/runFolder.js';
import type { ComputeClient } from './computeProtocol.js';
import type { DataWarnings } from './dataWarnings.js';

/** Samples decoded ahead of the one being computed. */
const READ_AHEAD = 4;

const PICTURES_TITLE = 'Predictions on val; errors: red wrong, white right, grey not counted';

export interface EvaluationOptions {
  readonly dataset: DatasetConfig;
  readonly classes: number;
  readonly workers: number;
  /** For this many images, from the first, the image and its prediction are returned. */
  readonly pictures: number;
  /** Checked between images. */
  readonly stop: AbortSignal;
  readonly warnings: Pick<DataWarnings, 'sample' | 'evaluated'>;
}

/** One image of the validation set and the student's prediction. */
export interface ShownPrediction {
  readonly sample: Sample;
  readonly prediction: LabelArray;
}

export interface StudentEvaluation {
  readonly scores: SegmentationScores;
  readonly shown: readonly ShownPrediction[];
}

/** Throws DataError, as the dataset does, or the signal's reason on abort. */
export async function evaluateStudent(
  compute: ComputeClient,
  { dataset, classes, workers, pictures, stop, warnings }: EvaluationOptions,
): Promise<StudentEvaluation> {
  const confusion = new ConfusionMatrix(classes);
  const shown: ShownPrediction[] = [];
  const seen = { images: 0, pixels: 0 };
  for await (const sample of readSequentially(dataset, { workers, ahead: READ_AHEAD })) {
    stop.throwIfAborted();
    warnings.sample(sample);
    seen.images++;
    seen.pixels += sample.labels.length;
    const { counts, prediction } = await compute.evaluate(sample);
    if (shown.length < pictures) shown.push({ sample, prediction });
    confusion.merge({ classes, counts });
  }
  const labelled = confusion.counts.reduce((sum, pixels) => sum + pixels, 0);
  warnings.evaluated(labelled, seen);
  return { scores: scores(confusion), shown };
}

export interface RunReportInput {
  readonly dataset: Pick<Dataset, 'classNames' | 'palette'>;
  /** Empty: no pictures are written. */
  readonly shown: readonly ShownPrediction[];
}

/** Writes pictures/, report.html and report.png; returns the paths of the last two. */
export async function writeRunReport(
  folder: RunFolder,
  input: RunReportInput,
): Promise<{ html: string; png: string }> {
  if (input.shown.length > 0) await writePictures(folder.picturesFolder, input);
  return writeReport(folder.path, runReport(await readReportSource(folder.path)));
}

async function writePictures(folder: string, { dataset, shown }: RunReportInput): Promise<void> {
  const { rowLabels, images, sheet } = await gridPicture(
    shown.map(({ sample }) => sample),
    [{ label: 'student', maps: shown.map(({ prediction }) => prediction), errors: true }],
    dataset.palette,
  );
  await ensureFolder(folder);
  await replaceFile(join(folder, 'grid.png'), sheet.png);
  const legend = classLegend(dataset.classNames, dataset.palette);
  await savePictures(folder, { title: PICTURES_TITLE, legend, rowLabels, images });
}
