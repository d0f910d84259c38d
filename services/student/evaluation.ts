/**
 * Evaluates the student on data.val: scores, predictions for pictures, and their report. In a group each rank
 * evaluates every R-th image, and all learn the scores of the whole.
 */
import { join } from 'node:path';
import type { DatasetConfig } from '../../src/data/datasets.js';
import { readSequentially } from '../../src/data/readSequentially.js';
import type { Dataset, Sample } from '../../src/data/types.js';
import { ConfusionMatrix, type SegmentationScores, scores } from '../../src/evaluate/confusion.js';
import { gridPicture } from '../../src/evaluate/pictures.js';
import { classLegend, savePictures } from '../../src/report/pictures.js';
import { runReport } from '../../src/report/runReport.js';
import { readReportSource } from '../../src/report/source.js';
import { writeReport } from '../../src/report/writeReport.js';
import { ensureFolder, replaceFile } from '../../src/run/durableFiles.js';
import type { RunFolder } from '../../src/run/runFolder.js';
import { unlessAborted } from '../../src/threads/unlessAborted.js';
import { StopAgreedError } from '../../src/train/loop.js';
import type { ComputeClient } from './computeProtocol.js';
import type { DataWarnings } from './dataWarnings.js';
import { type EvaluatedShare, formatShare, parseShare } from './group/evaluatedShare.js';

/** Samples decoded ahead of the one being computed. */
const READ_AHEAD = 4;

const PICTURES_TITLE = 'Predictions on val; errors: red wrong, white right, grey not counted';

export interface EvaluationOptions {
  readonly config: DatasetConfig;
  readonly dataset: Pick<Dataset, 'samples' | 'load' | 'classNames'>;
  readonly workers: number;
  /** Of those in the group by now. */
  readonly place: RankPlace;
  /** For this many images, from the first, rank 0 gets the image and its prediction. The same on all ranks. */
  readonly pictures: number;
  /** Checked between images. */
  readonly stop: AbortSignal;
  readonly warnings: Pick<DataWarnings, 'sample' | 'evaluated'>;
  /** Called after each image, or each round of the ranks, with the images that all of them have done. */
  readonly onProgress?: (images: number) => void;
}

export interface RankPlace {
  readonly rank: number;
  readonly ranks: number;
}

/** One image of the validation set and the student's prediction. */
export interface ShownPrediction {
  readonly sample: Sample;
  readonly prediction: Uint8Array;
}

export interface StudentEvaluation {
  readonly scores: SegmentationScores;
  /** Empty on ranks other than 0. */
  readonly shown: readonly ShownPrediction[];
}

type EvaluationCalls = Pick<ComputeClient, 'evaluate' | 'goOn' | 'gather'>;

/**
 * All ranks call it after the same step. The counts of pixels are exact, so the scores are those of one process.
 * Throws DataError, as the dataset does, the signal's reason on abort, and StopAgreedError if another rank
 * was stopped.
 */
export async function evaluateStudent(
  compute: EvaluationCalls,
  options: EvaluationOptions,
): Promise<StudentEvaluation> {
  const { dataset, warnings, place, pictures } = options;
  const classes = dataset.classNames.length;
  const { samples, ...own } = await evaluateShare(compute, options);
  const shares = (await compute.gather(formatShare(own))).map(parseShare);
  const confusion = new ConfusionMatrix(classes);
  const seen = { images: 0, pixels: 0 };
  for (const share of shares) {
    confusion.merge({ classes, counts: share.counts });
    seen.images += share.seen.images;
    seen.pixels += share.seen.pixels;
  }
  if (place.rank > 0) return { scores: scores(confusion), shown: [] };
  const labelled = confusion.counts.reduce((sum, pixels) => sum + pixels, 0);
  warnings.evaluated(labelled, seen);
  const predictions = new Map(shares.flatMap((share) => [...share.predictions]));
  const shown = Array.from({ length: Math.min(pictures, predictions.size) }, async (_, index) => ({
    sample: samples.get(index) ?? (await dataset.load(index)),
    prediction: predictions.get(index)!,
  }));
  return { scores: scores(confusion), shown: await Promise.all(shown) };
}

/**
 * Image by image, and after each the ranks agree to go on: a stop, or the loss of a rank, is noticed within the time
 * of an image, however long the list is.
 */
async function evaluateShare(
  compute: EvaluationCalls,
  options: EvaluationOptions,
): Promise<EvaluatedShare & { readonly samples: ReadonlyMap<number, Sample> }> {
  const { config, dataset, workers, place, pictures, stop, warnings, onProgress } = options;
  const confusion = new ConfusionMatrix(dataset.classNames.length);
  const samples = new Map<number, Sample>();
  const predictions = new Map<number, Uint8Array>();
  const seen = { images: 0, pixels: 0 };
  const total = dataset.samples.length;
  const share = readSequentially(config, { workers, ahead: READ_AHEAD, share: place });
  try {
    for (let done = 0; done < total; done += place.ranks) {
      stop.throwIfAborted();
      // The last round may have images for some ranks only.
      const { value: sample } = await unlessAborted(share.next(), stop);
      if (sample !== undefined) {
        warnings.sample(sample);
        seen.images++;
        seen.pixels += sample.labels.length;
        const { counts, prediction } = await compute.evaluate(sample);
        confusion.merge({ classes: confusion.classes, counts });
        if (sample.index < pictures) {
          predictions.set(sample.index, prediction);
          samples.set(sample.index, sample);
        }
      }
      if (!(await compute.goOn())) throw new StopAgreedError();
      onProgress?.(Math.min(done + place.ranks, total));
    }
  } finally {
    const closed = share.return();
    // It waits for what is being read, and that may never come.
    if (stop.aborted) closed.catch(() => {});
    else await closed;
  }
  return { counts: confusion.counts, seen, predictions, samples };
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
