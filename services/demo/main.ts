/**
 * The demo: a teacher service and two student trainers, connected only by gRPC:
 *
 *     teacher → student on labels alone → student with CIRKD → scores, curves, pictures
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StudentConfig } from '../../src/config/student.js';
import { openDataset } from '../../src/data/datasets.js';
import { classLegend } from '../../src/report/pictures.js';
import { alignedText, environmentIn } from '../../src/report/source.js';
import { textTable } from '../../src/report/textTable.js';
import { writeReport } from '../../src/report/writeReport.js';
import { latestCheckpoint } from '../../src/run/checkpoint.js';
import { ensureFolder, replaceFile } from '../../src/run/durableFiles.js';
import { runFolderAt, writeSummary } from '../../src/run/runFolder.js';
import { validationConfig } from '../student/trainingData.js';
import { Children } from '../program/children.js';
import { comparePictures, evaluateTeacher } from './comparison.js';
import {
  BASELINE,
  CIRKD,
  type DemoResult,
  demoReport,
  demoTable,
  largestLag,
  speed,
} from './demoReport.js';
import { watchLag } from './lagProbe.js';
import { metricsUrlOf, runStudentChild, type StudentRun } from './studentChild.js';
import { startTeacher, type TeacherChild } from '../program/teacherChild.js';

export interface DemoOptions {
  /** An empty folder. */
  readonly out: string;
  readonly teacherModel: string;
  /** The students' config file, the overrides, and the resulting config. */
  readonly configFile: string;
  readonly overrides: readonly string[];
  readonly config: StudentConfig;
  readonly stop: AbortSignal;
  /** Tells people what is happening. */
  readonly say: (line: string) => void;
}

export interface DemoEnd {
  readonly text: string;
  readonly html: string;
  readonly png: string;
}

/** Throws ChildFailedError if a service fails, or the reason of `stop`. */
export async function runDemo(options: DemoOptions): Promise<DemoEnd> {
  const began = performance.now();
  const children = new Children();
  try {
    const runs = await runServices(children, options);
    return await conclude(options, runs, began);
  } catch (error) {
    // A terminal's Ctrl-C goes to the children too, and one of them may have ended first.
    options.stop.throwIfAborted();
    throw error;
  } finally {
    await children.close();
  }
}

interface Runs {
  readonly baseline: StudentRun;
  readonly cirkd: StudentRun;
  readonly lag: DemoResult['lag'];
}

async function runServices(children: Children, options: DemoOptions): Promise<Runs> {
  const { out, config, stop, say } = options;
  const { height, width } = config.data.crop;
  say(`1/4 teacher: ${options.teacherModel}`);
  const teacher = await startTeacher(children, {
    modelFile: options.teacherModel,
    warmUp: [height, width],
    logFile: join(out, 'teacher.log'),
    stop,
  });
  say(`    ready at ${teacher.address}: ${teacher.model}, metrics ${teacher.metricsUrl}`);
  say(`2/4 student, ${BASELINE}: ${config.train.steps} steps`);
  const common = { ...options, directory: out, doomed: teacher.died };
  const baseline = await runStudentChild(children, {
    ...common,
    role: 'baseline',
    teacherAddress: null,
  });
  say(`3/4 student, ${CIRKD}: the same init, crops and steps, taught by ${teacher.address}`);
  const watch = watchBoth(teacher, join(out, 'cirkd'));
  try {
    const cirkd = await runStudentChild(children, {
      ...common,
      role: 'cirkd',
      teacherAddress: teacher.address,
    });
    return { baseline, cirkd, lag: await watch.finish() };
  } finally {
    await watch.finish();
  }
}

function watchBoth(teacher: TeacherChild, studentFolder: string) {
  const ofTeacher = watchLag(async () => teacher.metricsUrl);
  const ofStudent = watchLag(() => metricsUrlOf(runFolderAt(studentFolder)));
  return {
    async finish(): Promise<DemoResult['lag']> {
      const [teacher, student] = await Promise.all([ofTeacher.finish(), ofStudent.finish()]);
      return { teacher, student };
    },
  };
}

async function conclude(options: DemoOptions, runs: Runs, began: number): Promise<DemoEnd> {
  const { out, config, teacherModel, stop, say } = options;
  const folder = runFolderAt(out);
  say('4/4 scores, curves, pictures');
  const dataset = openDataset(validationConfig(config));
  const { pictures: wanted } = config.evaluate;
  const teacher = await evaluateTeacher(teacherModel, dataset, { pictures: wanted, stop });
  const students = [
    { label: BASELINE, modelFile: await modelOf(runs.baseline) },
    { label: CIRKD, modelFile: await modelOf(runs.cirkd) },
  ];
  const pictures = await comparePictures(teacher.views, students, dataset);
  if (pictures !== null) {
    await ensureFolder(folder.picturesFolder);
    await replaceFile(join(folder.picturesFolder, 'grid.png'), pictures.sheet.png);
  }
  await writeScrapes(out, runs.lag);
  const result: DemoResult = {
    ...runs,
    steps: config.train.steps,
    seed: config.seed,
    teacher: teacher.scores,
    pictures,
    legend: classLegend(dataset.classNames, dataset.palette),
    details: await details(runs),
  };
  const { html, png } = await writeReport(out, demoReport(result));
  const seconds = (performance.now() - began) / 1000;
  await writeSummary(folder, summary(result, seconds));
  return { text: closingText(result, seconds), html, png };
}

async function modelOf({ folder }: StudentRun): Promise<string> {
  const checkpoint = await latestCheckpoint(folder.checkpointsFolder, () => {});
  if (checkpoint === null) throw new Error(`${folder.checkpointsFolder}: holds no checkpoint`);
  return join(checkpoint, 'student.safetensors');
}

async function writeScrapes(out: string, lag: DemoResult['lag']): Promise<void> {
  for (const [service, { lastScrape }] of Object.entries(lag)) {
    if (lastScrape !== null) await replaceFile(join(out, `metrics-${service}.txt`), lastScrape);
  }
}

async function details({ baseline, cirkd }: Runs): Promise<DemoResult['details']> {
  return [
    { name: `Config, ${CIRKD}`, text: await readFile(cirkd.folder.configFile, 'utf8') },
    { name: `Config, ${BASELINE}`, text: await readFile(baseline.folder.configFile, 'utf8') },
    { name: 'Environment', text: alignedText(environmentIn(cirkd.events)) },
  ];
}

function summary({ teacher, baseline, cirkd, lag, steps, seed }: DemoResult, seconds: number) {
  const { miou, pixelAccuracy, classes } = teacher;
  const iou = Object.fromEntries(classes.map(({ name, iou }) => [name, iou]));
  return {
    teacher: { miou, pixelAccuracy, iou },
    baseline: { ...baseline.scores, imagesPerSecond: speed(baseline).imagesPerSecond },
    cirkd: { ...cirkd.scores, ...speed(cirkd) },
    steps,
    seed,
    seconds,
    eventLoopLagP99Seconds: { teacher: lag.teacher.largest, student: lag.student.largest },
  };
}

function closingText(result: DemoResult, seconds: number): string {
  const { teacher, student } = result.lag;
  return [
    textTable(demoTable(result)),
    `event-loop lag during the CIRKD run, largest p99 of a scrape: teacher ${largestLag(teacher)}, student ${largestLag(student)} (goal: under 50 ms)`,
    `elapsed: ${seconds.toFixed(0)} s`,
  ].join('\n');
}
