/** The report of one run, made from the run's folder. */
import type { Chart } from './charts/chart.js';
import type { ReportData, ReportTable } from './reportData.js';
import {
  adversarialChart,
  classChart,
  learningRateChart,
  lossChart,
  miouChart,
  timeChart,
  timeShareChart,
} from './runCharts.js';
import { alignedText, type ReportSource } from './source.js';
import { type EvaluationRecord, type StoreUse, storeUse, throughput } from './stepRecords.js';
import { percent } from './table.js';

export function runReport(source: ReportSource): ReportData {
  const { id, configText, teacher, environment, leftOut, pictures } = source;
  return {
    title: `Run ${id}`,
    subtitle: subtitleOf(source),
    table: scoresTable(source),
    charts: runCharts(source),
    pictures,
    details: [
      ...(leftOut === null
        ? []
        : [{ name: 'Terms left out', text: alignedText(leftOut), isOpen: true }]),
      { name: 'Environment', text: alignedText(environment), isOpen: true },
      { name: 'Config', text: configText },
      ...(teacher === null ? [] : [{ name: 'Teacher', text: JSON.stringify(teacher, null, 2) }]),
    ],
  };
}

/** The names of the classes, or numbered ones if the run recorded IoUs without names. */
export function namesFor({ classNames, evaluations }: ReportSource): readonly string[] {
  const { length } = evaluations.at(-1)?.iou ?? [];
  return classNames ?? Array.from({ length }, (_, k) => `class ${k}`);
}

/** The evaluation with the highest mean IoU; the first among equals. */
export function bestEvaluation(records: readonly EvaluationRecord[]): EvaluationRecord | null {
  return records.reduce<EvaluationRecord | null>(
    (best, record) => (best === null || record.miou > best.miou ? record : best),
    null,
  );
}

function runCharts(source: ReportSource): Chart[] {
  const { steps, evaluations } = source;
  const iou = evaluations.at(-1)?.iou ?? null;
  const adversarial = adversarialChart(steps);
  return [
    lossChart(steps, 'Loss terms, unweighted, and their weighted total'),
    ...(adversarial === null ? [] : [adversarial]),
    miouChart([{ name: 'student', records: evaluations }]),
    ...(iou === null ? [] : [classChart(namesFor(source), [{ name: 'student', iou }])]),
    learningRateChart(steps),
    timeShareChart([{ name: 'all steps', records: steps }]),
    timeChart(steps),
  ];
}

function scoresTable(source: ReportSource): ReportTable {
  const { steps, evaluations } = source;
  const last = evaluations.at(-1);
  const best = bestEvaluation(evaluations);
  const { imagesPerSecond, teacherShare } = throughput(steps);
  const store = storeUse(steps);
  return {
    columns: ['', 'student'],
    rows: [
      ['mean IoU', last === undefined ? '–' : percent(last.miou)],
      ['pixel accuracy', last === undefined ? '–' : percent(last.pixelAccuracy)],
      ['best mean IoU', best === null ? '–' : percent(best.miou)],
      ['best at step', best === null ? '–' : String(best.step)],
      ...namesFor(source).map((name, k) => [`IoU ${name}`, percentOf(last?.iou?.[k])]),
      ['images per second', imagesPerSecond.toFixed(1)],
      ['waiting for teachers', percent(teacherShare)],
      ...(store === null ? [] : [['answers from the store', shareOf(store)]]),
    ],
  };
}

/** Steps, seed and teacher. */
function subtitleOf({ steps, seed, isFinished, teacher }: ReportSource): string {
  return [
    `${steps.at(-1)?.step ?? 0} steps${isFinished ? '' : ', not finished'}`,
    ...(seed === null ? [] : [`seed ${seed}`]),
    teacher === null ? 'labels alone' : `teacher ${teacher['model']}`,
  ].join(' · ');
}

function shareOf({ stored, images }: StoreUse): string {
  return `${percent(images === 0 ? 0 : stored / images)} (${stored} of ${images})`;
}

function percentOf(share: number | null | undefined): string {
  return share == null ? '–' : percent(share);
}
