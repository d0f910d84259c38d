/** Starts that must be refused: each with its exit code, a readable message, and nothing left. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { syntheticStreets } from '../../src/data/syntheticStreets.js';
import { DistillPeer, image } from '../support/students/distillPeer.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-bad-input-'));
const processes: { kill(): void }[] = [];
let config: string;

function student(id: string, ...settings: string[]): CirkdProcess {
  const flags = settings.flatMap((one) => (one.startsWith('--') ? [one] : ['--set', one]));
  const process = new CirkdProcess(
    'student',
    '--config',
    config,
    '--set',
    `run.id=${id}`,
    ...flags,
  );
  processes.push(process);
  return process;
}

function from(...addresses: string[]): string {
  return `teacher.addresses=${JSON.stringify(addresses)}`;
}

/** A port that something else listens on. */
async function takenPort(t: { after(close: () => void): void }): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

/** The student ends so, says so, shows no stack, and its name is free for the next try. */
async function refused(
  process: CirkdProcess,
  id: string,
  exitCode: number,
  ...messages: RegExp[]
): Promise<void> {
  assert.equal(await process.exit(), exitCode, process.stderr);
  for (const message of messages) assert.match(process.stderr, message);
  assert.doesNotMatch(process.stderr, /\n {4}at /);
  assert.equal(process.stdout, '');
  assert.equal(new TrainedRun(folder, id).exists, false, 'a run folder is left');
}

const { length: classes } = syntheticStreets({
  ...{ split: 'train', samples: 1, seed: 1, height: 48, width: 96 },
}).classNames;

async function simulated(
  ...settings: string[]
): Promise<{ port: number; teacher: TeacherProcess }> {
  const sizes = [`simulate.classes=${classes}`, 'simulate.featureChannels=64'];
  const flags = [...sizes, 'simulate.latencyMs=0', ...settings].flatMap((one) => ['--set', one]);
  const teacher = new TeacherProcess('--simulate', ...flags);
  processes.push(teacher);
  await teacher.ready();
  return { port: (await teacher.listening()).grpcPort, teacher };
}

before(() => {
  config = tinyStudent(folder);
});
afterEach(() => {
  for (const process of processes.splice(0)) process.kill();
});
after(() => rmSync(folder, { recursive: true }));

test('no teacher at the address: exit code 3 with the address and the reason', async () => {
  const unreachable = student('nobody', from('127.0.0.1:1'), 'teacher.teacherTimeoutMs=4000');
  const expected = /no teacher answered for 4000 ms: 127\.0\.0\.1:1 \(UNAVAILABLE: .*ECONNREFUSED/;
  await refused(unreachable, 'nobody', 3, expected);
});

test('a teacher with other classes: exit code 4 with both values', async () => {
  const { port } = await simulated(`simulate.classes=${classes + 1}`);
  const other = student('classes', from(`127.0.0.1:${port}`));
  const expected = `classes: teacher 127.0.0.1:${port} has ${classes + 1}, the student's is ${classes}`;
  await refused(other, 'classes', 4, new RegExp(expected));
});

test('another digest gives exit code 4, and answers larger than maxInflightMiB give 2', async () => {
  const { port } = await simulated();
  const here = from(`127.0.0.1:${port}`);
  const wanted = `sha256:${'0'.repeat(64)}`;
  const digest = student('digest', here, `teacher.digest=${wanted}`);
  const huge = student(
    ...(['huge', here, 'teacher.maxInflightMiB=1'] as const),
    ...['data.crop.height=1024', 'data.crop.width=1024'],
  );
  const expected = `digest: teacher 127.0.0.1:${port} has sha256:\\w{64}, .* is ${wanted}`;
  await refused(digest, 'digest', 4, new RegExp(expected));
  const room = /teacher\.maxInflightMiB: got 1, wanted at least 3: .* crop of 1024 x 1024/;
  await refused(huge, 'huge', 2, room);
});

test('an image beyond the limit gives exit code 4 with the sizes; other streams are undisturbed', async () => {
  const { port, teacher } = await simulated('limits.maxImagePixels=3000');
  const peer = new DistillPeer(port);
  try {
    await peer.greet();
    peer.send({ image: image(1) });
    await peer.takeAnswer(3);
    const tooLarge = student('image', from(`127.0.0.1:${port}`));
    assert.equal(await tooLarge.exit(), 4);
    const expected = `image: 48x64 pixels, teacher 127.0.0.1:${port} takes at most 3000`;
    assert.match(tooLarge.stderr, new RegExp(expected));
    assert.deepEqual(new TrainedRun(folder, 'image').checkpoints(), []);
    peer.send({ image: image(2, 0, [60, 60]) });
    const { error } = await peer.take('error');
    assert.deepEqual([error?.id, error?.code, error?.retryable], [2, 3, false]);
    assert.match(error?.message ?? '', /60 x 60 = 3600 pixels given, wanted at most 3000/);
    peer.send({ image: image(3) });
    assert.equal((await peer.takeAnswer(3))[0]?.id, 3);
    assert.equal(teacher.exitCode, undefined);
  } finally {
    peer.close();
  }
});

test('config faults give exit code 2, all at once, with suggestions', async () => {
  const both = student('config', 'train.learnigRate=0.1', 'train.batchSize=0');
  const expected = [
    /2 faults/,
    /train\.learnigRate: unknown key, did you mean train\.learningRate/,
    /train\.batchSize: got 0, wanted/,
  ];
  await refused(both, 'config', 2, ...expected);
  const unknown = new CirkdProcess('studnet');
  assert.equal(await unknown.exit(), 2);
  assert.match(unknown.stderr, /no command 'studnet'\. Did you mean 'student'/);
});

test('a metrics port in use gives exit code 2 with the address', async (t) => {
  const port = await takenPort(t);
  const expected = new RegExp(`metrics: cannot listen on 127\\.0\\.0\\.1:${port}: .*in use`);
  await refused(student('port', `metrics.port=${port}`), 'port', 2, expected);
});

test('a truncated or corrupt model file gives the teacher exit code 5 with the file', async () => {
  const whole = readFileSync(tinyTeacher(folder));
  const garbled = Buffer.from(whole).fill(0x5a, 8, 200);
  const files = { cut: whole.subarray(0, whole.length >> 1), garbled };
  const teachers = Object.entries(files).map(([name, bytes]) => {
    const path = join(folder, `${name}.safetensors`);
    writeFileSync(path, bytes);
    const broken = new TeacherProcess('--checkpoint', path);
    processes.push(broken);
    return { broken, path };
  });
  for (const { broken, path } of teachers) {
    assert.equal(await broken.exit(), 5, broken.stderr);
    assert.ok(broken.stderr.includes(`cirkd: checkpoint ${path}: `), broken.stderr);
    assert.equal(broken.stdout, '');
  }
});

test('--resume skips a truncated checkpoint with a note; with none intact it gives exit code 5', async () => {
  const settings = ['train.steps=3', 'run.checkpointEverySteps=1', 'data.cacheMiB=0'];
  const whole = student('cut', ...settings);
  assert.equal(await whole.exit(), 0, whole.stderr);
  assert.match(whole.stderr, /teacher\.addresses is empty: trained on labels alone/);
  const run = new TrainedRun(folder, 'cut');
  assert.deepEqual(run.checkpoints(), [2, 3]);
  const undisturbed = run.state(3);

  const newest = run.checkpointFile(3, 'optimizer.safetensors');
  truncateSync(newest, 1000);
  const again = student('cut', ...settings, '--resume');
  assert.equal(await again.exit(), 0, again.stderr);
  assert.match(
    again.stderr,
    /checkpoint skipped: .*step-00000003\/optimizer\.safetensors: 1000 bytes/,
  );
  assert.deepEqual(run.checkpoints(), [2, 3]);
  assert.deepEqual(run.state(3), undisturbed);

  for (const step of [2, 3]) truncateSync(run.checkpointFile(step, 'student.safetensors'), 1000);
  const events = readFileSync(join(run.path, 'events.jsonl'), 'utf8');
  const lost = student('cut', ...settings, '--resume');
  assert.equal(await lost.exit(), 5);
  assert.match(lost.stderr, /no checkpoint is intact; another run\.id starts a new run/);
  for (const step of [2, 3]) {
    assert.ok(
      lost.stderr.includes(`${run.checkpointFile(step, 'student.safetensors')}: 1000 bytes`),
      lost.stderr,
    );
  }
  assert.deepEqual(run.checkpoints(), [2, 3]);
  assert.equal(readFileSync(join(run.path, 'events.jsonl'), 'utf8'), events);
});
