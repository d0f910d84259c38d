/** Several runs side by side. */
import { TERMS } from '../contract/terms.js';
import type { Chart } from './charts/chart.js';
import { configDifferences } from './configDifferences.js';
import { paletteColor } from './palette.js';
import { picturesBeside } from './picturesBeside.js';
import type { ReportData, ReportTable } from './reportData.js';
import {
  classChart,
  learningRatesChart,
  miouChart,
  termChart,
  timeShareChart,
} from './runCharts.js';
import { bestEvaluation, namesFor } from './runReport.js';
import { alignedText, type ReportSource } from './source.js';
import { throughput } from './stepRecords.js';
import { percent, pointsBetween } from './table.js';

/** Compares two or more runs with the first one. */
export function compareReport(runs: readonly ReportSource[]): ReportData {
  const names = distinctNames(runs.map(({ id }) => id));
  const named = runs.map((run, i) => ({ name: names[i]!, run }));
  return {
    title: `Runs compared: ${names.join(', ')}`,
    table: compareTable(named),
    charts: compareCharts(named),
    pictures: picturesBeside(named.map(({ name, run }) => ({ name, pictures: run.pictures }))),
    moreTables: [
      {
        title: 'Config: where the runs differ',
        table: configDifferences(named.map(({ name, run }) => ({ name, text: run.configText }))),
      },
    ],
    details: named.flatMap(({ name, run }) => [
      { name: `Environment, ${name}`, text: alignedText(run.environment) },
      { name: `Config, ${name}`, text: run.configText },
    ]),
  };
}

interface NamedRun {
  readonly name: string;
  readonly run: ReportSource;
}

/** Numbers runs that have the same id in different folders. */
function distinctNames(ids: readonly string[]): string[] {
  return ids.map((id, i) =>
    ids.filter((other) => other === id).length === 1
      ? id
      : `${id} (${ids.slice(0, i + 1).filter((other) => other === id).length})`,
  );
}

/** The class names of the first run that has any, and which runs have the same. */
function classesOf(runs: readonly NamedRun[]): { names: readonly string[]; fit: boolean[] } {
  const names = runs.map(({ run }) => namesFor(run)).find((list) => list.length > 0) ?? [];
  return { names, fit: runs.map(({ run }) => namesFor(run).join('\n') === names.join('\n')) };
}

function compareTable(runs: readonly NamedRun[]): ReportTable {
  const row = (name: string, cell: (run: ReportSource, index: number) => string | undefined) => [
    name,
    ...runs.map(({ run }, index) => cell(run, index) ?? '–'),
  ];
  const share = (value: number | null | undefined) => (value == null ? undefined : percent(value));
  const last = (run: ReportSource) => run.evaluations.at(-1);
  const first = last(runs[0]!.run);
  const { names, fit } = classesOf(runs);
  return {
    columns: ['', ...runs.map(({ name }) => name)],
    rows: [
      row('mean IoU', (run) => share(last(run)?.miou)),
      row(`mean IoU against ${runs[0]!.name}, points`, (run, index) => {
        const miou = last(run)?.miou;
        if (index === 0 || miou === undefined || first === undefined) return undefined;
        return pointsBetween(miou, first.miou, 2);
      }),
      row('pixel accuracy', (run) => share(last(run)?.pixelAccuracy)),
      row('best mean IoU', (run) => share(bestEvaluation(run.evaluations)?.miou)),
      row('at step', (run) => bestEvaluation(run.evaluations)?.step.toString()),
      ...names.map((name, k) =>
        row(`IoU ${name}`, (run, index) => (fit[index] ? share(last(run)?.iou?.[k]) : undefined)),
      ),
      row(
        'steps',
        ({ steps, isFinished }) => `${steps.at(-1)?.step ?? 0}${isFinished ? '' : ' …'}`,
      ),
      row('seed', ({ seed }) => seed?.toString()),
      row('teacher', ({ teacher }) => (teacher === null ? undefined : String(teacher['model']))),
      row('images per second', ({ steps }) => throughput(steps).imagesPerSecond.toFixed(1)),
      row('waiting for teachers', ({ steps }) => percent(throughput(steps).teacherShare)),
    ],
  };
}

function compareCharts(runs: readonly NamedRun[]): Chart[] {
  // A run has the same colour in all charts, also where other runs are missing.
  const steps = runs.map(({ name, run }, i) => {
    return { name, records: run.steps, color: paletteColor(i) };
  });
  const evaluations = runs.map(({ name, run }) => ({ name, records: run.evaluations }));
  const { names, fit } = classesOf(runs);
  const classes = runs.flatMap(({ name, run }, i) => {
    const iou = run.evaluations.at(-1)?.iou;
    return iou == null || !fit[i] ? [] : [{ name, iou, color: paletteColor(i) }];
  });
  const terms = TERMS.filter((term) =>
    steps.some(({ records }) => records.some(({ terms }) => (terms[term] ?? 0) !== 0)),
  );
  return [
    miouChart(evaluations),
    ...(classes.length === 0 ? [] : [classChart(names, classes)]),
    ...terms.map((term) => {
      const having = steps.filter(({ records }) => records.some(({ terms }) => terms[term]));
      return termChart(term, having, term === 'total' ? 'Loss: weighted total' : `Loss: ${term}`);
    }),
    learningRatesChart(steps),
    timeShareChart(steps),
  ];
}
