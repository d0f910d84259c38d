/**
 * A SegFormer trained with AdamW as its authors do (groups of rates and decays, warm-up) by a SegFormer in another
 * process: 20 steps with each encoding; killed and resumed, the same bytes; the teacher evaluated and asked for
 * predictions at its stride of 4.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodePng } from '../../src/evaluate/raster.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { TrainedRun } from '../support/training/trainedRun.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-segformer-adamw-'));
const TERMS = ['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region'];
const STEPS = 20;
const FIRST = 5;

let config: string;
let weights: string;
let address: string;
let teacher: TeacherProcess;

before(async () => {
  config = tinyStudent(folder);
  const network = { model: 'hf_segformer', backbone: 'mit_b0', widthMultiplier: 1 } as const;
  weights = tinyTeacher(folder, { network });
  teacher = new TeacherProcess('--checkpoint', weights, '--set', 'threads=2');
  await teacher.ready();
  address = `127.0.0.1:${(await teacher.listening()).grpcPort}`;
});
after(() => {
  teacher.kill();
  rmSync(folder, { recursive: true });
});

function student(id: string, encoding: string, steps: number, ...more: string[]): CirkdProcess {
  const settings = [
    ...[`run.id=${id}`, `teacher.addresses=["${address}"]`, `teacher.encoding=${encoding}`],
    ...['student.model=segformer', 'student.backbone=mit_b0', 'student.widthMultiplier=1'],
    ...['train.optimizer=adamw', 'train.learningRate=0.0002', 'train.weightDecay=0.01'],
    ...['train.headRateFactor=10', 'train.undecayed=["norm"]', 'train.polyPower=1'],
    ...['train.warmupSteps=3', `train.steps=${steps}`, 'evaluate.pictures=0'],
  ];
  const set = settings.flatMap((one) => ['--set', one]);
  return new CirkdProcess('student', '--config', config, ...set, ...more);
}

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

test(`${STEPS} steps with every term of CIRKD: fp32, fp16 and int8 learn alike`, async () => {
  const losses = new Map<string, number[]>();
  for (const encoding of ['fp32', 'fp16', 'int8']) {
    const run = student(encoding, encoding, STEPS);
    assert.equal(await run.exit(), 0, run.stderr);
    const steps = new TrainedRun(folder, encoding).steps();
    assert.equal(steps.length, STEPS);
    for (const { step, terms } of steps) {
      const missing = TERMS.filter((term) => !Number.isFinite(terms[term]));
      assert.deepEqual(missing, [], `${encoding}, step ${step}: ${JSON.stringify(terms)}`);
    }
    assert.deepEqual(new TrainedRun(folder, encoding).nonFinite(STEPS), []);
    const task = steps.map(({ terms }) => terms['task']!);
    const [early, late] = [mean(task.slice(0, FIRST)), mean(task.slice(-FIRST))];
    assert.ok(late < 0.95 * early, `${encoding}: task loss ${early}, then ${late}`);
    losses.set(encoding, task);
  }
  const wanted = losses.get('fp32')!;
  for (const encoding of ['fp16', 'int8']) {
    const off = losses.get(encoding)!.map((value, step) => Math.abs(value / wanted[step]! - 1));
    assert.ok(Math.max(...off) < 0.1, `${encoding}: ${off}`);
    assert.notDeepEqual(losses.get(encoding), wanted, 'the encoding changed nothing');
  }
});

test('killed with -9 and resumed, the run ends with the state of a whole one', async () => {
  const steps = 7;
  const whole = student('whole', 'int8', steps);
  assert.equal(await whole.exit(), 0, whole.stderr);
  const first = student('killed', 'int8', steps);
  await first.says(/step 4\/7 /);
  first.signal('SIGKILL');
  assert.equal(await first.exit(), null);
  const second = student('killed', 'int8', steps, '--resume');
  assert.equal(await second.exit(), 0, second.stderr);
  const [wanted, got] = ['whole', 'killed'].map((id) => new TrainedRun(folder, id));
  const names = [...wanted!.state(steps).keys()];
  assert.ok(names.some((name) => name.includes('square.block1.0.attn.q.weight')));
  assert.deepEqual(got!.state(steps), wanted!.state(steps));
});

async function cirkd(...args: string[]): Promise<string> {
  const command = new CirkdProcess(...args);
  assert.equal(await command.exit(), 0, command.stderr);
  return command.stdout;
}

test('evaluate and predict with a teacher of stride 4 give the figures and pictures of its file', async () => {
  // A size that no stride divides.
  const [height, width] = [45, 67];
  const data = ['--data', 'synthetic', '--samples', '2'];
  const size = ['--height', String(height), '--width', String(width)];
  const image = join(folder, 'image.png');
  const rgb = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 37) % 251);
  writeFileSync(image, await encodePng({ width, height, rgb }));
  const seen: { report: object; ids: Buffer }[] = [];
  for (const from of [
    ['--teacher', address],
    ['--model', weights],
  ]) {
    const own = join(folder, `seen${seen.length}`);
    const { classes, miou } = JSON.parse(
      await cirkd('evaluate', ...from, ...data, ...size, '--json'),
    );
    await cirkd('predict', ...from, '--draw', 'ids', '--out', own, image);
    seen.push({ report: { classes, miou }, ids: readFileSync(join(own, 'image-ids.png')) });
  }
  assert.deepEqual(seen[0], seen[1]);
});
