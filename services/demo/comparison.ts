/** What the three networks make of the validation set. */
import { setImmediate } from 'node:timers/promises';
import type { Dataset, Sample } from '../../src/data/types.js';
import type { LabelArray } from '../../src/evaluate/confusion.js';
import { evaluateDataset } from '../../src/evaluate/evaluateDataset.js';
import { type GridPicture, gridPicture } from '../../src/evaluate/pictures.js';
import { predictLabels } from '../../src/evaluate/predict.js';
import { type ScoreReport, scoreReport } from '../../src/evaluate/scoreTable.js';
import { openSegmenter } from '../program/openSegmenter.js';

/** An image with the teacher's prediction. */
export interface TeacherView {
  readonly sample: Sample;
  readonly prediction: LabelArray;
}

/** The teacher's scores, and what it sees in the first `pictures` images. */
export async function evaluateTeacher(
  modelFile: string,
  dataset: Dataset,
  { pictures, stop }: { readonly pictures: number; readonly stop: AbortSignal },
): Promise<{ scores: ScoreReport; views: TeacherView[] }> {
  const teacher = await openSegmenter(modelFile);
  const views: TeacherView[] = [];
  try {
    const scores = await evaluateDataset(teacher, dataset, {
      signal: stop,
      onSample: async ({ sample, prediction }) => {
        if (views.length < pictures) views.push({ sample, prediction });
        // Predicting stops the event loop, and signals with it.
        await setImmediate();
      },
    });
    return { scores: scoreReport(scores, dataset.classNames), views };
  } finally {
    teacher.dispose();
  }
}

/** Rows image, truth, teacher, then one a student; null without an image. */
export async function comparePictures(
  views: readonly TeacherView[],
  students: readonly { readonly label: string; readonly modelFile: string }[],
  dataset: Dataset,
): Promise<GridPicture | null> {
  if (views.length === 0) return null;
  const samples = views.map(({ sample }) => sample);
  const rows = [{ label: 'teacher', maps: views.map(({ prediction }) => prediction) }];
  for (const { label, modelFile } of students) {
    const student = await openSegmenter(modelFile);
    try {
      rows.push({ label, maps: samples.map((sample) => predictLabels(student, sample)) });
    } finally {
      student.dispose();
    }
  }
  return gridPicture(samples, rows, dataset.palette);
}
