/** `cirkd study`: variants of a student over several seeds, compared with one another. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { failedRuns } from '../../../src/report/study/studyRecord.js';
import { studyMarkdown } from '../../../src/report/study/studyMarkdown.js';
import { findings, scoreTable } from '../../../src/report/study/studyTables.js';
import { textTable } from '../../../src/report/textTable.js';
import { StoppedError, stopOnSignals } from '../../program/stop.js';
import { ChildFailedError } from '../../program/children.js';
import { checkMarkedSections, writeMarkedSections } from '../../program/markedSection.js';
import { runStudy, type StudyEnd } from '../../study/main.js';
import { readPlan, type StudyPlan } from '../../study/plan.js';
import { type Command, UsageError } from '../command.js';
import { checkOutFolder } from '../outFolder.js';

const usage = `cirkd study FILE.yaml [--out DIR] [--markdown PAGE.md] [--set key=value ...] [--check] [--report]

Trains the variants of a student that FILE describes, each with several seeds, and compares them with a
baseline: means, deviations, paired differences with 95 % intervals and tests, classes, time, pictures.
docs/study.md explains the file and the figures, docs/config.md has its keys.

Each run is a process of its own; as many run at once as the cores allow. Called again, it goes on where it
stopped, also after a kill: finished runs are not repeated, one that was cut off goes on from its checkpoint,
failed ones are tried again. The table goes to standard output; in the folder are study.json, report.html,
report.png, and a folder and a log for each run.

  --out DIR         the study's folder (default runs/<name of FILE>)
  --markdown PAGE   writes the tables into PAGE, between <!-- NAME: begin --> and <!-- NAME: end -->,
                    where NAME is the name of FILE without its ending
  --set KEY=VALUE   overrides one key of FILE; repeatable
  --check           checks FILE and every variant's config, lists the runs, and exits
  --report          trains nothing: tables and report of what is finished

Exit codes: 0 all runs finished (with --report: always), 2 config, usage, or a folder that is in use or holds
something else, 5 the teacher's model file, 7 data; that of the first failed run, once all others are done;
130 and 143: stopped by a signal, with the state of its runs saved.`;

async function run(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      markdown: { type: 'string' },
      set: { type: 'string', multiple: true, default: [] },
      check: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
    },
  });
  const [file, ...others] = positionals;
  if (file === undefined || others.length > 0) {
    throw new UsageError(`study: ${positionals.length} files given, wanted one`);
  }
  const plan = readPlan(file, values.set);
  if (values.markdown !== undefined) {
    await checkMarkedSections('--markdown', values.markdown, [plan.name]);
  }
  const out = checkOutFolder('--out', values.out ?? join('runs', plan.name));
  if (values.check) {
    process.stdout.write(planText(plan, out));
    return 0;
  }
  const { stop, release } = stopOnSignals();
  try {
    const say = (line: string) => process.stderr.write(`${line}\n`);
    const end = await runStudy({ plan, out, reportOnly: values.report, stop, say });
    if (values.markdown !== undefined) {
      await writeMarkedSections(values.markdown, { [plan.name]: studyMarkdown(end.results) });
    }
    process.stdout.write(closingText(end));
    return values.report ? 0 : exitCodeOf(end);
  } catch (error) {
    if (!(error instanceof ChildFailedError) && !(error instanceof StoppedError)) throw error;
    process.stderr.write(`cirkd study: ${error.message}; the same command goes on\n`);
    return error.exitCode;
  } finally {
    release();
  }
}

function planText({ study, variants }: StudyPlan, out: string): string {
  const teachers = (isTaught: boolean) => (isTaught ? 'with teachers' : 'on labels alone');
  return [
    `${variants.length} variants x ${study.seeds.length} seeds (${study.seeds.join(', ')}), in ${out}`,
    ...variants.map(
      ({ name, title, isTaught, config }) =>
        `  ${name}: ${title}, ${config.train.steps} steps, ${teachers(isTaught)}${name === study.baseline ? ', the baseline' : ''}`,
    ),
    '',
  ].join('\n');
}

function closingText({ results, html, png }: StudyEnd): string {
  const failed = failedRuns(results).map(
    ({ variant, seed, exitCode, signal, lastLines }) =>
      `FAILED ${variant}, seed ${seed}: ${signal ?? `exit code ${exitCode}`}: ${lastLines.at(-1) ?? ''}\n`,
  );
  const learnt = findings(results).map((line) => `${line}\n`);
  return ['\n', textTable(scoreTable(results)), ...learnt, ...failed, `${html}\n${png}\n`].join('');
}

/** That of the first failed run; 1 if a signal ended it. */
function exitCodeOf({ results }: StudyEnd): number {
  const [first] = failedRuns(results);
  return first === undefined ? 0 : (first.exitCode ?? 1);
}

export const command: Command = {
  name: 'study',
  summary: 'Compares variants of a student over several seeds: table, intervals, tests, report.',
  usage,
  run,
};
