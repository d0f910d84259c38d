/** A study's folder: what is kept, and what is refused before it would be mixed. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '../../src/config/load.js';
import { studentSchema } from '../../src/config/student.js';
import type { FailedRun, StudyRun } from '../../src/report/study/studyRecord.js';
import { readPlan } from '../../services/study/plan.js';
import { waitingRuns } from '../../services/study/studentRuns.js';
import { StudyFolder } from '../../services/study/studyFolder.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-study-folder-'));
after(() => rmSync(folder, { recursive: true }));

const written = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const teacher = written('teacher.safetensors', 'a teacher');
const start = written('start.safetensors', 'a start');
const base = written(
  'student.yaml',
  `data:
  train: {kind: synthetic, samples: 8}
  val: {kind: synthetic, samples: 4, seed: 1}
student: {weights: ${start}}
train: {steps: 10}
`,
);
const file = written(
  'some.yaml',
  `base: [${base}]
teacher: {checkpoint: ${teacher}}
seeds: [0, 1]
baseline: labels
variants:
  labels: {set: ['teacher.addresses=[]']}
  cirkd: {set: [run.checkpointEverySteps=5]}
`,
);

const planOf = (...overrides: string[]) => readPlan(file, overrides);

async function opened<T>(
  name: string,
  use: (study: StudyFolder) => Promise<T> | T,
  { plan = planOf(), parallel = null as number | null, data = {} as Record<string, string> } = {},
): Promise<T> {
  const study = await StudyFolder.open(join(folder, name), plan, parallel, data);
  try {
    return await use(study);
  } finally {
    await study.close();
  }
}

const failed = (variant: string, seed: number): FailedRun => ({
  ...{ variant, seed, state: 'failed', exitCode: 3, signal: null, lastLines: [] },
});

const finished = (variant: string, seed: number): StudyRun => ({
  ...{ variant, seed, state: 'finished', miou: 0.5, pixelAccuracy: 0.75, iou: { road: null } },
  ...{ steps: 10, seconds: { total: 1, data: 0, teacher: 0, compute: 1 } },
  ...{ evaluations: [[10, 0.5]], taskLoss: [[10, 1.5]], teacherDigest: null },
});

const waiting =
  (plan = planOf()) =>
  (study: StudyFolder) =>
    waitingRuns(plan, study).map(({ variant, seed }) => `${variant.name} ${seed}`);

test('results are kept after each run; failed runs wait again, seed by seed', async () => {
  await opened('kept', async (study) => {
    assert.deepEqual(waiting()(study), ['labels 0', 'cirkd 0', 'labels 1', 'cirkd 1']);
    await Promise.all([study.add(failed('labels', 0)), study.add(finished('labels', 1))]);
    await study.expectTeacher('cirkd', 'sha256:aa');
  });
  await opened('kept', async (study) => {
    assert.deepEqual(waiting()(study), ['labels 0', 'cirkd 0', 'cirkd 1']);
    assert.equal(study.teacherDigest('cirkd'), 'sha256:aa');
    await study.add(finished('labels', 0));
    assert.deepEqual(waiting()(study), ['cirkd 0', 'cirkd 1']);
    assert.equal(study.results().runs.length, 2);
  });
  assert.deepEqual(readdirSync(join(folder, 'kept')).sort(), ['configs', 'study.json']);
  const text = readFileSync(join(folder, 'kept', 'configs', 'cirkd.yaml'), 'utf8');
  assert.equal(loadConfig(studentSchema, { text, fileName: 'cirkd.yaml' }).train.threads, 1);
});

test('seeds and variants can be added; what is left out stays in study.json', async () => {
  await opened('added', (study) => study.add(finished('labels', 1)));
  const more = planOf('seeds=[0]', 'variants.third={set: [loss.auxWeight=1]}', 'parallel=2');
  await opened('added', (study) => assert.equal(waiting(more)(study).length, 3), { plan: more });
  await opened('added', (study) => assert.equal(study.results().runs.length, 1));
});

test('open threads stay as they were when the study goes on with another number of runs at once', async () => {
  const threads = (study: StudyFolder) => study.threadsOf('labels');
  assert.equal(await opened('threads', threads, { parallel: 3 }), 3);
  assert.equal(await opened('threads', threads, { parallel: 1 }), 3);
  assert.equal(await opened('threads-open', threads), 1);
  const given = planOf('set=[train.threads=2]');
  assert.equal(await opened('threads-given', threads, { plan: given, parallel: 8 }), 2);
});

test('other data is refused, and another start of a variant that the file has lacked for a while', async () => {
  const key = 'variants.labels: data.train';
  await opened('data', (study) => study.add(finished('labels', 1)), { data: { [key]: 'a' } });
  const other = opened('data', () => {}, { data: { [key]: 'b' } });
  await assert.rejects(other, {
    message: /\n {2}variants\.labels: data\.train: its content has changed$/,
  });
  // `cirkd study --report` doesn't look at the data.
  await opened('data', () => {});
  await assert.rejects(opened('data', () => {}, { data: { [key]: 'b' } }));
  const extra = written('extra.safetensors', 'an extra start');
  const withExtra = planOf(`variants.extra={set: [student.weights=${extra}]}`);
  await opened('left-out', () => {}, { plan: withExtra });
  await opened('left-out', () => {});
  writeFileSync(extra, 'another extra start');
  await assert.rejects(
    opened('left-out', () => {}, { plan: withExtra }),
    {
      message: /extra\.safetensors: its content has changed$/,
    },
  );
});

test('changes that would mix results are refused, all of them by name', async () => {
  await opened('mixed', (study) => study.add(finished('labels', 1)));
  const plan = planOf(
    'set=[train.steps=11, run.checkpointEverySteps=3]',
    'variants.labels={}',
    'teacher.threads=2',
  );
  writeFileSync(start, 'another start');
  const refused = opened('mixed', () => {}, { plan });
  await assert.rejects(refused, (error: Error) => {
    assert.equal(error.name, 'RunFolderError');
    const lines = error.message.split('\n').slice(1);
    assert.deepEqual(lines, [
      '  variants.labels: train.steps: was 10, is 11',
      '  variants.labels: was trained on labels alone, is with teachers',
      '  variants.cirkd: train.steps: was 10, is 11',
      `  ${start}: its content has changed`,
      '  teacher.threads: was 1, is 2',
    ]);
    return true;
  });
  writeFileSync(start, 'a start');
  // Neither the refused one nor what doesn't affect results has changed anything.
  await opened('mixed', (study) => assert.equal(study.results().runs.length, 1), {
    plan: planOf('set=[run.checkpointEverySteps=3]'),
  });
});

test('another teacher of the same address is refused', async () => {
  await opened('teacher', async (study) => {
    await study.expectTeacher('cirkd', 'sha256:aa');
    await study.expectTeacher('cirkd', 'sha256:aa');
    await assert.rejects(
      study.expectTeacher('cirkd', 'sha256:bb'),
      /variants\.cirkd: earlier runs had a teacher with digest sha256:aa, now it is sha256:bb/,
    );
  });
});

test('a folder of something else, of another study, or with a damaged study.json is refused', async () => {
  const cases: [string, string, RegExp][] = [
    ['notes.txt', 'mine', /neither empty nor the folder of a study \(no study\.json\)/],
    ['study.json', '{"formatVersion": 1', /study\.json: .*JSON/],
    ['study.json', '{"formatVersion": 2}', /study\.json: formatVersion: .*1/],
  ];
  for (const [i, [name, text, wanted]] of cases.entries()) {
    mkdirSync(join(folder, `case${i}`));
    written(join(`case${i}`, name), text);
    const refused = opened(`case${i}`, () => {});
    await assert.rejects(refused, { name: 'RunFolderError', message: wanted });
    assert.deepEqual(readdirSync(join(folder, `case${i}`)), [name]);
  }
  await opened('named', () => {});
  const other = readPlan(written('other.yaml', readFileSync(file, 'utf8')));
  await assert.rejects(
    opened('named', () => {}, { plan: other }),
    /it is of the study some, not other/,
  );
});

test('two at once: the second is refused, and may have the folder afterwards', async () => {
  await opened('locked', async () => {
    await assert.rejects(
      opened('locked', () => {}),
      new RegExp(`locked: in use by process ${process.pid}`),
    );
  });
  await opened('locked', () => {});
});

test('files that runs begin from are looked for first, and named with their key', async () => {
  const plan = planOf('teacher.checkpoint=/no/teacher.safetensors');
  await assert.rejects(
    opened('missing', () => {}, { plan }),
    {
      name: 'UsageError',
      message: /^teacher\.checkpoint: \/no\/teacher\.safetensors given, wanted a file/,
    },
  );
  const weights = planOf('variants.cirkd={set: [student.weights=/no/start.safetensors]}');
  await assert.rejects(
    opened('missing', () => {}, { plan: weights }),
    {
      message: /^variants\.cirkd: student\.weights: \/no\/start\.safetensors given/,
    },
  );
  assert.ok(!readdirSync(folder).includes('missing'), 'an empty folder was left');
});
