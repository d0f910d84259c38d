/** Students with the same crops on one fleet whose teachers keep their answers. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { metricOf, TeacherProcess } from '../support/teachers/teacherProcess.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const STEPS = 15;
const BATCH = 2;
const SAMPLES = 20;

const CONFIG = `
seed: 5
run: {checkpointEverySteps: 0, logEverySteps: 1}
data:
  train: {kind: synthetic, samples: ${SAMPLES}, height: 32, width: 64, seed: 1}
  val: {kind: synthetic, samples: 1, height: 32, width: 64, seed: 2}
  workers: 1
  crop: {height: 32, width: 32}
  fixedCrops: 1
student: {model: psp_mobile, backbone: mobilenetv2, widthMultiplier: 0.125}
teacher: {prefetchSteps: 1, teacherTimeoutMs: 120000}
train: {steps: ${STEPS}, batchSize: ${BATCH}, learningRate: 0.02, threads: 1}
memory: {pixelMemorySize: 64, regionMemorySize: 8, pixelContrastSize: 48, regionContrastSize: 24}
evaluate: {pictures: 0}
metrics: {port: 0}
`;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-cached-fleet-'));
const config = join(folder, 'student.yaml');
writeFileSync(config, CONFIG);
const processes: { kill(): void }[] = [];

afterEach(() => {
  for (const process of processes.splice(0)) process.kill();
});
after(() => rmSync(folder, { recursive: true }));

async function startTeachers(count: number, ...settings: string[]) {
  const sets = ['simulate.classes=12', 'simulate.featureChannels=64', ...settings];
  const teachers = Array.from({ length: count }, () => {
    const args = [...sets, 'simulate.latencyMs=20'].flatMap((one) => ['--set', one]);
    return new TeacherProcess('--simulate', ...args);
  });
  processes.push(...teachers);
  await Promise.all(teachers.map((teacher) => teacher.ready()));
  const ports = await Promise.all(teachers.map((teacher) => teacher.listening()));
  const all = async (name: string) =>
    Promise.all(ports.map(({ metricsUrl }) => metricOf(metricsUrl, name)));
  return {
    addresses: ports.map(({ grpcPort }) => `127.0.0.1:${grpcPort}`),
    /** Images computed by each teacher. */
    computed: () => all('cirkd_teacher_batch_images_sum'),
    answered: () => all('cirkd_teacher_images_total'),
  };
}

/** The run's steps and its last state, once it has ended well. */
async function train(id: string, addresses: readonly string[]) {
  const sets = [
    ...[`run.directory=${folder}`, `run.id=${id}`],
    `teacher.addresses=${JSON.stringify(addresses)}`,
  ];
  const args = sets.flatMap((one) => ['--set', one]);
  const student = new CirkdProcess('student', '--config', config, ...args);
  processes.push(student);
  assert.equal(await student.exit(), 0, student.stderr);
  const run = new TrainedRun(folder, id);
  const steps = run.steps().map(({ step, samples, terms }) => ({ step, samples, terms }));
  return { steps, state: run.state(STEPS) };
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

test('two students with the same crops cost two teachers the images of one', async () => {
  const plain = await startTeachers(1);
  const wanted = await train('plain', plain.addresses);
  assert.equal(sum(await plain.computed()), STEPS * BATCH);

  const fleet = await startTeachers(2, 'cache.memoryMiB=64');
  const both = [train('left', fleet.addresses), train('right', fleet.addresses.toReversed())];
  for (const run of await Promise.all(both)) assert.deepEqual(run, wanted);
  const computed = await fleet.computed();
  // Thirty crops each; the twenty different ones are computed once, by the one or the other. A teacher
  // whose process gets no time on a busy machine may lose an image to the other.
  assert.equal(sum(await fleet.answered()), 2 * STEPS * BATCH);
  assert.ok(sum(computed) >= SAMPLES && sum(computed) <= SAMPLES + 2, `${computed} computed`);
  assert.ok(Math.min(...computed) >= 4, `one has almost none: ${computed}`);
});
