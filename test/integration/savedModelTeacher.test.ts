/** A SavedModel made by real TensorFlow, served by `cirkd teacher`: TensorFlow's answers over gRPC. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connectTeachers, type RemoteTeacher } from '../../src/stream/client/remoteTeacher.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { studentOptions } from '../support/students/scriptedStudent.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';

/** See make.py there. */
const FIXTURE = fileURLToPath(new URL('../fixtures/savedModel', import.meta.url));
const TINY = join(FIXTURE, 'tiny');
/** Of make.py's image (k / 16 - 3), k as a pixel. */
const SETTINGS = ['pixelMean=[48,48,48]', 'pixelStd=[16,16,16]', 'channelOrder=rgb'];

interface Answer {
  readonly image: readonly [number, number, number, number];
  readonly values: Readonly<Record<'logits' | 'feature', number[]>>;
}

const answers = JSON.parse(readFileSync(join(FIXTURE, 'answers.json'), 'utf8')) as Answer[];
const scratch = mkdtempSync(join(tmpdir(), 'cirkd-saved-model-'));
const processes: { kill(): void }[] = [];
let student: RemoteTeacher;
let teacher: TeacherProcess;
let address: string;

before(async () => {
  const sets = SETTINGS.flatMap((one) => ['--set', `graph.${one}`]);
  teacher = new TeacherProcess('--saved-model', TINY, ...sets);
  await teacher.ready();
  address = `127.0.0.1:${(await teacher.listening()).grpcPort}`;
  student = await connectTeachers(studentOptions([address]).options);
});
afterEach(() => {
  for (const process of processes.splice(0)) process.kill();
});
after(async () => {
  await student?.close();
  teacher?.kill();
  rmSync(scratch, { recursive: true });
});

test('the welcome describes the graph, and every image has its own answer', async () => {
  const { classes, featureChannels, outputStride, model, numericMode } = student.info;
  assert.deepEqual([classes, featureChannels, outputStride], [3, 4, 8]);
  assert.deepEqual([model, numericMode], ['tiny', 'tensorflow-fp32']);
  for (const { image, values } of answers) {
    const [images, height, width] = image;
    const bytes = height * width * 3;
    for (let k = 0; k < images; k++) {
      const rgb = Uint8Array.from({ length: bytes }, (_, i) => ((k * bytes + i) * 37) % 101);
      const sample = `${height} ${k}`;
      const reply = await student.request({ sample, augmentationSeed: 0n, height, width, rgb });
      const part = (all: number[]) =>
        all.slice((k * all.length) / images, ((k + 1) * all.length) / images);
      assertClose(new Float32Array(reply.logits!.data), part(values.logits), 'logits');
      const norm = new Float32Array(reply.featureNorm!.data);
      const rows = new Float32Array(reply.embedding!.data);
      const feature = rows.map((value, at) => value * norm[Math.floor(at / featureChannels)]!);
      assertClose(feature, part(values.feature), 'feature');
    }
  }
});

test('rebuilt logits are refused: the layer after the feature is part of the graph', async () => {
  const { options } = studentOptions([address], { logits: 'rebuilt' });
  await assert.rejects(connectTeachers(options), {
    name: 'ContractMismatchError',
    message: /has no such layer: its logits can't be rebuilt, set teacher\.logits: sent/,
  });
});

test('a damaged or missing SavedModel: exit code 5 with the folder and the cause', async () => {
  const cut = join(scratch, 'cut');
  cpSync(TINY, cut, { recursive: true });
  const data = join(cut, 'variables', 'variables.data-00000-of-00001');
  writeFileSync(data, readFileSync(data).subarray(0, 700));
  for (const [path, message] of [
    [cut, /^cirkd: SavedModel \S+cut: Failed to load SavedModel/m],
    [join(scratch, 'none'), /^cirkd: SavedModel \S+none: no such folder/m],
  ] as const) {
    const refused = new CirkdProcess('teacher', '--saved-model', path, '--port', '0');
    processes.push(refused);
    assert.equal(await refused.exit(), 5, refused.stderr);
    assert.match(refused.stderr, message);
  }
});

function assertClose(given: Float32Array, wanted: number[], what: string): void {
  assert.equal(given.length, wanted.length, what);
  for (const [at, value] of given.entries()) {
    assert.ok(Math.abs(value - wanted[at]!) < 1e-5, `${what} ${at}: ${value}, ${wanted[at]}`);
  }
}
