/** The end of a run: its pictures and its report, which is made of what the folder then holds. */
import { join } from 'node:path';
import type { Dataset, Sample } from '../../src/data/types.js';
import type { LabelArray } from '../../src/evaluate/confusion.js';
import { gridPicture } from '../../src/evaluate/pictures.js';
import { classLegend, savePictures } from '../../src/report/pictures.js';
import { runReport } from '../../src/report/runReport.js';
import { readReportSource } from '../../src/report/source.js';
import { writeReport } from '../../src/report/writeReport.js';
import { ensureFolder, replaceFile } from '../../src/run/durableFiles.js';
import type { RunFolder } from '../../src/run/runFolder.js';

const PICTURES_TITLE = 'Predictions on val; errors: red wrong, white right, grey not counted';

/** One image of the validation set and what the student sees in it. */
export interface ShownPrediction {
  readonly sample: Sample;
  readonly prediction: LabelArray;
}

export interface RunReportInput {
  readonly dataset: Pick<Dataset, 'classNames' | 'palette'>;
  /** None: no pictures. */
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
