/** Teachers that give logits alone: what they grant, what a student takes of it, what it trains on. */
import assert from 'node:assert/strict';
import { after, afterEach, test } from 'node:test';
import { describeFault } from '../../services/program/exitCode.js';
import { openReporting } from '../../services/student/reporting.js';
import { connectTeacher } from '../../services/student/teacher/teacher.js';
import { leaveOutTerms } from '../../services/student/teacher/teacherUse.js';
import { buildTrainer } from '../../services/student/trainer.js';
import { saveState } from '../../services/student/trainerState.js';
import { loadConfig } from '../../src/config/load.js';
import { type StudentConfig, studentSchema } from '../../src/config/student.js';
import { OUTPUTS } from '../../src/contract/outputs.js';
import type { TeacherReply } from '../../src/contract/teacher.js';
import { FEATURE_TERMS, TERM_OUTPUTS, type TeacherTerm } from '../../src/contract/terms.js';
import type { Dataset } from '../../src/data/types.js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import type { ClientOptions } from '../../src/stream/client/options.js';
import { connectTeachers, type RemoteTeacher } from '../../src/stream/client/remoteTeacher.js';
import type { Output } from '../../src/stream/generated/cirkd/teacher/v1/Output.js';
import type { OutputEncodingInput } from '../../src/stream/generated/cirkd/teacher/v1/OutputEncoding.js';
import type { InferenceEngine } from '../../src/stream/server/serving.js';
import { createLogger } from '../../src/telemetry/log.js';
import { float32, scope } from '../../src/tensor/index.js';
import { DistillPeer, hello, image } from '../support/students/distillPeer.js';
import { imageOf, studentOptions } from '../support/students/scriptedStudent.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { CLASSES, type Script, ScriptedTeacher } from '../support/teachers/scriptedTeacher.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  DistillPeer.closeAll();
  for (const one of open.splice(0).reverse()) await one.close();
});
after(closeTestServers);

const fp16 = (output: Output): OutputEncodingInput => ({ output, encoding: 'ENCODING_FP16' });
const logits = fp16('OUTPUT_LOGITS');
const embedding = fp16('OUTPUT_EMBEDDING');
const norm: OutputEncodingInput = { output: 'OUTPUT_FEATURE_NORM', encoding: 'ENCODING_FP32' };
const classifier: OutputEncodingInput = { output: 'OUTPUT_CLASSIFIER', encoding: 'ENCODING_FP32' };

async function greeted(engine: InferenceEngine, outputs: OutputEncodingInput[]) {
  const { port } = await startTestServer(engine);
  const peer = new DistillPeer(port);
  peer.send({ hello: hello({ outputs }) });
  return peer;
}

test('a server without a feature grants and sends only the logits', async () => {
  const { port } = await startTestServer(new GatedEngine(true, 0));
  const peer = new DistillPeer(port);
  const welcome = await peer.greet({ outputs: [embedding, logits, norm] });
  assert.equal(welcome?.teacher?.featureChannels, 0);
  assert.deepEqual(welcome?.outputs, [logits]);
  peer.send({ image: image(1) });
  const answer = await peer.takeAnswer(1);
  assert.deepEqual(new Set(answer.map(({ output }) => output)), new Set(['OUTPUT_LOGITS']));
});

/** Same network, but nothing that its logits could be rebuilt with. */
function withoutClassifier(engine: GatedEngine): InferenceEngine {
  return {
    info: engine.info,
    classifier: null,
    infer: (images, outputs) => engine.infer(images, outputs),
    close: () => engine.close(),
  };
}

const refusals: Record<string, [InferenceEngine, OutputEncodingInput[], RegExp]> = {
  'features alone': [
    new GatedEngine(true, 0),
    [embedding, norm],
    /OUTPUT_EMBEDDING, OUTPUT_FEATURE_NORM given, but this teacher provides no feature: wanted OUTPUT_LOGITS$/,
  ],
  'a classifier of a teacher without a feature': [
    new GatedEngine(true, 0),
    [embedding, norm, classifier],
    /OUTPUT_CLASSIFIER given, but this teacher provides no feature: .* set teacher\.logits: sent/,
  ],
  'a classifier of a teacher whose feature has none': [
    withoutClassifier(new GatedEngine(true)),
    [embedding, norm, classifier],
    /OUTPUT_CLASSIFIER given, but this teacher has no such layer: .* set teacher\.logits: sent/,
  ],
};

for (const [name, [engine, outputs, message]] of Object.entries(refusals)) {
  test(`a hello that wants ${name} gets FAILED_PRECONDITION`, async () => {
    const status = await (await greeted(engine, outputs)).status;
    assert.equal(status.code, GrpcStatus.FAILED_PRECONDITION);
    assert.match(status.details, message);
  });
}

test('a feature without a classifier is granted like any other', async () => {
  const { port } = await startTestServer(withoutClassifier(new GatedEngine(true)));
  const welcome = await new DistillPeer(port).greet({ outputs: [logits, embedding, norm] });
  assert.deepEqual(welcome?.outputs, [logits, embedding, norm]);
});

async function connect(
  script: Script,
  changes: Partial<ClientOptions> = {},
): Promise<RemoteTeacher> {
  const teacher = await ScriptedTeacher.start(script);
  open.push({ close: () => teacher.stop() });
  const { options } = studentOptions([teacher.address], { requestTimeoutMs: 5000, ...changes });
  const student = await connectTeachers(options);
  open.push(student);
  return student;
}

const logitsAlone: Script = {
  info: { featureChannels: 0 },
  grants: (output) => output === 'OUTPUT_LOGITS',
};

for (const encoding of ['fp32', 'int8'] as const) {
  test(`a student takes logits alone from a teacher without a feature (${encoding})`, async () => {
    const student = await connect(logitsAlone, { encoding });
    assert.equal(student.info.featureChannels, 0);
    const one = imageOf(1);
    const reply = await student.request(one);
    assert.deepEqual(reply.logits?.shape, [3, 3, CLASSES]);
    const { embedding, embeddingScale, featureNorm }: TeacherReply = reply;
    assert.deepEqual({ embedding, embeddingScale, featureNorm }, NO_FEATURE);
    const bytes = 3 * 3 * CLASSES * (encoding === 'int8' ? 2 : 4);
    assert.equal(student.inflightBytesFor(one), bytes);
  });
}

const NO_FEATURE = { embedding: null, embeddingScale: null, featureNorm: null };

const mismatches: Record<string, [Script, Partial<ClientOptions>, RegExp]> = {
  'a feature that is granted by a teacher that has none': [
    { info: { featureChannels: 0 } },
    {},
    /outputs: teacher .* has .*OUTPUT_EMBEDDING.*, the student's is OUTPUT_LOGITS as ENCODING_FP32\)$/,
  ],
  'logits alone from a teacher that has a feature': [
    { grants: (output) => output === 'OUTPUT_LOGITS' },
    {},
    /outputs: teacher .* has OUTPUT_LOGITS as ENCODING_FP32, the student's is OUTPUT_EMBEDDING/,
  ],
  'logits to be rebuilt without a feature': [
    { info: { featureChannels: 0 } },
    { logits: 'rebuilt' },
    /feature_channels: teacher .* has 0, no feature to rebuild logits from; set teacher\.logits: sent/,
  ],
};

for (const [name, [script, changes, message]] of Object.entries(mismatches)) {
  test(`${name}: a contract mismatch`, async () => {
    await assert.rejects(connect(script, changes), { name: 'ContractMismatchError', message });
  });
}

function config(...overrides: string[]): StudentConfig {
  const text = `
seed: 5
data: {train: {kind: synthetic, samples: 1, seed: 1}, val: {kind: synthetic, samples: 1, seed: 2}}
student: {model: psp_mobile, backbone: mobilenetv2, widthMultiplier: 0.125}
teacher: {addresses: ['127.0.0.1:1']}
train: {steps: 20, batchSize: 2, learningRate: 0.05}
`;
  return loadConfig(studentSchema, { text, fileName: 'test', overrides });
}

const NOTHING = { logits: null, embedding: null, featureNorm: null, auxNorm: null };

test('the trainer has task and logits_kd, no bank and no projection head', () => {
  const resolved = config();
  const trainer = buildTrainer({ config: resolved, classes: 3, teacherChannels: 0 });
  assert.equal(trainer.parts.projectionHead, null);
  assert.deepEqual(trainer.parts.objective.banks, { pixel: null, region: null });
  const numbers = (shape: number[]) =>
    float32(new Float32Array(shape.reduce((a, b) => a * b)).fill(0.5), shape);
  scope(() => {
    const outcome = trainer.step(0, [
      {
        image_NHWC: numbers([2, 32, 48, 3]),
        labels: { data: new Uint8Array(2 * 32 * 48), images: 2, height: 32, width: 48 },
        teacher: { ...NOTHING, logits: numbers([2, 4, 6, 3]) },
      },
    ]);
    assert.equal(outcome.kind, 'committed');
    assert.deepEqual(Object.keys(outcome.terms), ['task', 'logits_kd', 'total']);
    assert.deepEqual(outcome.kind === 'committed' && outcome.bankFill, {});
  });
  const files = saveState(trainer, { config: resolved, classNames: ['a', 'b', 'c'] });
  assert.deepEqual(Object.keys(files).sort(), ['optimizer', 'student']);
});

/** What is left out, and the log's lines about it. */
function leftOut(featureChannels: number, ...overrides: string[]) {
  const lines: { level: string; msg: string; terms: string[]; reason: string }[] = [];
  const log = createLogger({
    service: 'student',
    ...{ level: 'info', format: 'json' },
    sink: { write: (line) => lines.push(JSON.parse(line)) },
  });
  const info = { ...new GatedEngine(true, 0).info, featureChannels };
  return { leftOutTerms: leaveOutTerms(config(...overrides), { teacher: { info }, log }), lines };
}

const KD_OFF = 'loss.weights.logits_kd=0';

test('terms that compare features are left out with one warning that names them and why', () => {
  const terms = ['minibatch_pixel', 'memory_pixel', 'memory_region'];
  const reason = 'teacher simulated provides no feature';
  const { leftOutTerms, lines } = leftOut(0);
  assert.deepEqual(leftOutTerms, { terms, reason });
  const logged = lines.map((line) => [line.level, line.msg, line.terms, line.reason]);
  assert.deepEqual(logged, [['warn', 'terms left out', terms, reason]]);
  const two = leftOut(0, 'loss.weights.memory_pixel=0');
  assert.deepEqual(two.leftOutTerms?.terms, ['minibatch_pixel', 'memory_region']);
  const silenced = leftOut(0, ...terms.map((term) => `loss.weights.${term}=0`));
  assert.deepEqual(
    [silenced.leftOutTerms, silenced.lines, leftOut(8).leftOutTerms],
    [null, [], null],
  );
});

const OWN_TERMS = ['minibatch_pixel', 'memory_pixel', 'memory_region'];

test('a run that could learn nothing from its teacher is refused, naming terms and outputs', () => {
  assert.throws(() => leftOut(0, KD_OFF), {
    name: 'ContractMismatchError',
    message:
      /^feature_channels: 0 given, wanted a feature, .*: loss\.weights\.minibatch_pixel needs embedding, .*; teacher simulated provides no feature$/,
  });
  assert.equal(leftOut(0, KD_OFF, 'data.train.labels=teacher').leftOutTerms?.terms.length, 3);
  const nothing = [KD_OFF, 'data.train.labels=teacher', 'loss.weights.task=0'];
  assert.throws(() => leftOut(0, ...nothing), { name: 'ContractMismatchError' });
});

/** The error that a run ends with whose only term with a weight is this one. */
async function refusal(term: TeacherTerm, address: string): Promise<Error> {
  const off = [...OWN_TERMS, 'logits_kd'].map((each) => `loss.weights.${each}=0`);
  const given = [...off, `loss.weights.${term}=1`, `teacher.addresses=["${address}"]`];
  const resolved = config(...given);
  const run = { id: 'run', folder: null, manifest: null, stepsDone: 0 };
  const reporting = await openReporting(resolved, run, { isTTY: false, write: () => true });
  const stop = new AbortController().signal;
  open.push({ close: () => reporting.close(0, stop) });
  const dataset = { classNames: ['a', 'b', 'c'] } as unknown as Dataset;
  try {
    const teacher = await connectTeacher(resolved, { dataset, run, reporting, stop });
    if (teacher !== null) open.push(teacher);
    leaveOutTerms(resolved, { teacher, log: reporting.log });
  } catch (error) {
    return error as Error;
  }
  throw new Error(`${term}: nothing was thrown`);
}

for (const term of FEATURE_TERMS) {
  const missing = TERM_OUTPUTS[term].filter((output) => OUTPUTS[output].of === 'feature');
  test(`${term} alone, and no feature: exit code 4, naming term and ${missing.join(', ')}`, async () => {
    const { port } = await startTestServer(new GatedEngine(true, 0));
    const error = await refusal(term, `127.0.0.1:${port}`);
    const { exitCode, message } = describeFault(error);
    assert.equal(exitCode, 4, message);
    const needs = `loss.weights.${term} needs ${missing.join(' and ')}; `;
    const wanted = `feature_channels: 0 given, wanted a feature, as nothing else would be learnt from the teacher: ${needs}`;
    assert.equal(message.slice(0, wanted.length), wanted, message);
    assert.match(message.slice(wanted.length), /provides no feature/);
  });
}
