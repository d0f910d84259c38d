/** Which outputs a student asks for, from its config to the hello, and what becomes of teachers without one. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { neededOutputs, usesTeacher } from '../../services/student/teacher/neededOutputs.js';
import { logOutputs } from '../../services/student/teacher/teacherUse.js';
import { loadConfig } from '../../src/config/load.js';
import { type StudentConfig, studentSchema } from '../../src/config/student.js';
import type { NeededOutput } from '../../src/contract/outputs.js';
import { ContractMismatchError, replyOfOutputs } from '../../src/contract/teacher.js';
import { TEACHER_TERMS, TERM_OUTPUTS } from '../../src/contract/terms.js';
import { ZOO, hasAuxHead } from '../../src/models/zoo.js';
import { requestedOutputs } from '../../src/stream/client/helloOutputs.js';
import type { ClientOptions } from '../../src/stream/client/options.js';
import { connectTeachers, type RemoteTeacher } from '../../src/stream/client/remoteTeacher.js';
import { createLogger } from '../../src/telemetry/log.js';
import { networkEntries } from '../support/modelFiles/networkEntries.js';
import { imageOf, studentOptions } from '../support/students/scriptedStudent.js';
import {
  CHANNELS,
  CLASSES,
  type Script,
  ScriptedTeacher,
} from '../support/teachers/scriptedTeacher.js';

const RESNET = ['student.model=psp', 'student.backbone=resnet18'];

function config(weights: Readonly<Record<string, number>>, ...more: string[]): StudentConfig {
  const text = `
seed: 5
data: {train: {kind: synthetic, samples: 1, seed: 1}, val: {kind: synthetic, samples: 1, seed: 2}}
student: {model: psp_mobile, backbone: mobilenetv2, widthMultiplier: 0.125}
teacher: {addresses: ['127.0.0.1:1']}
train: {steps: 20, batchSize: 2, learningRate: 0.05}
`;
  const all = { ...Object.fromEntries(TEACHER_TERMS.map((term) => [term, 0])), ...weights };
  const overrides = Object.entries(all).map(([term, weight]) => `loss.weights.${term}=${weight}`);
  return loadConfig(studentSchema, {
    text,
    fileName: 'test',
    overrides: [...overrides, ...more],
  });
}

describe('the outputs of a config', () => {
  for (const term of TEACHER_TERMS) {
    it(`${term} alone`, () => {
      const needed = new Set(neededOutputs(config({ [term]: 0.5 }, ...RESNET)));
      assert.deepEqual(needed, new Set(TERM_OUTPUTS[term]));
    });
  }

  it('the union of several terms, in the order of a reply', () => {
    const weights = { attention_transfer: 1, memory_pixel: 1, logits_kd: 1 };
    assert.deepEqual(neededOutputs(config(weights)), ['logits', 'embedding', 'feature_norm']);
  });

  it('dsd_psd without an auxiliary head at the student: no norms of auxiliary logits', () => {
    assert.deepEqual(neededOutputs(config({ dsd_psd: 1 })), ['logits', 'feature_norm']);
  });

  it('minibatch_pixel needs norms exactly where it pools', () => {
    const crop = (size: number) => [`data.crop.height=${size}`, `data.crop.width=${size}`];
    const of = (...more: string[]) => neededOutputs(config({ minibatch_pixel: 1 }, ...more));
    assert.deepEqual(of(...crop(2040)), ['embedding']);
    assert.deepEqual(of(...crop(2048)), ['embedding', 'feature_norm']);
    assert.deepEqual(of(...crop(2048), 'loss.minibatchPooling=never'), ['embedding']);
    const segformer = [
      'student.model=segformer',
      'student.backbone=mit_b0',
      'student.widthMultiplier=1',
    ];
    assert.deepEqual(of(...crop(1024), ...segformer), ['embedding', 'feature_norm']);
  });

  it('labels from the teacher need its logits; nothing is needed of a teacher without a use', () => {
    assert.deepEqual(neededOutputs(config({}, 'data.train.labels=teacher')), ['logits']);
    assert.deepEqual(neededOutputs(config({})), []);
    assert.equal(usesTeacher(config({})), false);
    assert.equal(usesTeacher(config({ logits_kd: 1 })), true);
    assert.equal(usesTeacher(config({ logits_kd: 1 }, 'teacher.addresses=[]')), false);
  });
});

it('hasAuxHead agrees with every network that is built', () => {
  for (const { model, backbone } of ZOO) {
    const spec = { model, backbone, variant: 'v1', numClasses: 2, widthMultiplier: 1 } as const;
    const hasWeights = networkEntries(spec).some(([name]) => /^(aux|auxiliary)/.test(name));
    assert.equal(hasAuxHead(spec), hasWeights, `${model} ${backbone}`);
  }
});

describe('the outputs of a hello', () => {
  const names = (outputs: readonly NeededOutput[], logits: 'sent' | 'rebuilt') =>
    requestedOutputs({ outputs, encoding: 'int8', logits }).map(({ output }) => output);

  it('scales come with an int8 embedding alone; rebuilt logits are embedding and norms', () => {
    assert.deepEqual(names(['logits', 'aux_norm'], 'sent'), ['logits', 'aux_norm']);
    assert.deepEqual(names(['embedding'], 'sent'), ['embedding', 'embedding_scale']);
    assert.deepEqual(names(['feature_norm'], 'rebuilt'), ['feature_norm']);
    const rebuilt = ['embedding', 'embedding_scale', 'feature_norm'];
    assert.deepEqual(names(['logits'], 'rebuilt'), rebuilt);
  });
});

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function connect(
  scripts: readonly Script[],
  changes: Partial<ClientOptions>,
): Promise<{ student: RemoteTeacher; states: readonly string[]; teachers: ScriptedTeacher[] }> {
  const teachers = await Promise.all(scripts.map((script) => ScriptedTeacher.start(script)));
  for (const teacher of teachers) open.push({ close: () => teacher.stop() });
  const addresses = teachers.map(({ address }) => address);
  const { options, observed } = studentOptions(addresses, changes);
  const student = await connectTeachers(options);
  open.push(student);
  return { student, states: observed.states, teachers };
}

const withAux = (hasAuxLogits: boolean): Script => ({
  info: { hasAuxLogits },
  grants: (output) => hasAuxLogits || output !== 'OUTPUT_AUX_NORM',
});

describe('the answers of a fleet', () => {
  it('hold what was asked for, and are bounded by its bytes', async () => {
    const { student, teachers } = await connect([withAux(true)], {
      outputs: ['feature_norm', 'aux_norm'],
      maxInflightBytes: 3 * 3 * 8,
    });
    const asked = teachers[0]!.streams[0]!.hello!.outputs.map(({ output }) => output);
    assert.deepEqual(asked, ['OUTPUT_FEATURE_NORM', 'OUTPUT_AUX_NORM']);
    const { featureNorm, auxNorm, ...rest } = await student.request(imageOf(1));
    assert.deepEqual(
      [featureNorm?.shape, auxNorm?.shape],
      [
        [3, 3],
        [3, 3],
      ],
    );
    assert.deepEqual(rest, { logits: null, embedding: null, embeddingScale: null });
    assert.equal(student.inflightBytesFor(imageOf(1)), 3 * 3 * 8);
  });

  it('come without norms of auxiliary logits from a teacher that says that it has none', async () => {
    const { student } = await connect([withAux(false)], { outputs: ['logits', 'aux_norm'] });
    assert.equal(student.info.hasAuxLogits, false);
    const { logits, ...rest } = await student.request(imageOf(1));
    assert.deepEqual(logits?.shape, [3, 3, CLASSES]);
    const { logits: _, ...nothing } = replyOfOutputs(() => null);
    assert.deepEqual(rest, nothing);
  });

  it('a teacher that has auxiliary logits and grants none of them is refused', async () => {
    const script: Script = { ...withAux(false), info: { hasAuxLogits: true } };
    await assert.rejects(connect([script], { outputs: ['logits', 'aux_norm'] }), {
      name: 'ContractMismatchError',
      message:
        /outputs: teacher .* the student's is OUTPUT_AUX_NORM as ENCODING_FP32, OUTPUT_LOGITS/,
    });
  });

  it('a second teacher without them is refused, unless nobody asks for them', async () => {
    const scripts = [withAux(true), { ...withAux(false), info: { hasAuxLogits: false } }];
    const mixed = await connect(scripts, { outputs: ['logits', 'aux_norm'] });
    const settled = () => mixed.states.filter((state) => /ready|refused/.test(state)).length >= 2;
    while (!settled()) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(mixed.states.filter((state) => / refused$/.test(state)).length >= 1, true);
    const plain = await connect(scripts, { outputs: ['logits'] });
    const ready = () => plain.states.filter((state) => / ready$/.test(state)).length === 2;
    while (!ready()) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.ok(!plain.states.some((state) => / refused$/.test(state)));
  });

  it('a server older than an output refuses the hello by its number, and the run with it', async () => {
    const details =
      'hello.outputs[1].output: 6 given, this server sends OUTPUT_LOGITS, OUTPUT_EMBEDDING';
    const old: Script = {
      onHello: (stream, { outputs }) => {
        if (outputs.some(({ output }) => output === 'OUTPUT_AUX_NORM')) {
          stream.end(status.FAILED_PRECONDITION, details);
        } else stream.welcome();
      },
    };
    await assert.rejects(connect([old], { outputs: ['logits', 'aux_norm'] }), (error: Error) => {
      assert.ok(error instanceof ContractMismatchError, String(error));
      assert.ok(error.message.includes(details), error.message);
      return true;
    });
    const { student } = await connect([old], { outputs: ['embedding'] });
    const { embedding } = await student.request(imageOf(1));
    assert.deepEqual(embedding?.shape, [3, 3, CHANNELS]);
  });

  it('no outputs at all are an error of the caller', async () => {
    const { options } = studentOptions(['127.0.0.1:1'], { outputs: [] });
    await assert.rejects(connectTeachers(options), /outputs: none given, wanted at least one/);
  });
});

it('the log names the outputs, and what is odd about them', () => {
  const logged = (
    needed: readonly NeededOutput[],
    remote: { readonly hasAuxLogits?: boolean; readonly isRebuilt?: boolean } = {},
  ) => {
    const lines: Record<string, unknown>[] = [];
    const log = createLogger({
      service: 'student',
      ...{ level: 'info', format: 'json' },
      sink: { write: (line) => lines.push(JSON.parse(line)) },
    });
    const { hasAuxLogits = true, isRebuilt = false } = remote;
    const outputs = requestedOutputs({ outputs: needed, encoding: 'fp16', logits: 'sent' });
    const classifier = isRebuilt
      ? ({ dtype: 'fp32', shape: [0], data: new ArrayBuffer(0) } as const)
      : null;
    const info = { hasAuxLogits, model: 'made' } as RemoteTeacher['info'];
    logOutputs({ outputs, classifier, info }, needed, log);
    return lines.map(({ level, msg, outputs: named }) => [level, msg, named]);
  };
  const first = ['info', 'outputs of the teachers', ['logits fp16', 'aux_norm fp32']];
  assert.deepEqual(logged(['logits', 'aux_norm']), [first]);
  const [, lacking] = logged(['logits', 'aux_norm'], { hasAuxLogits: false });
  assert.match(String(lacking), /^warn,dsd_psd with two levels: the teacher gives no auxiliary/);
  const [, rebuilt] = logged(['logits'], { isRebuilt: true });
  assert.match(String(rebuilt), /^warn,teacher\.logits: rebuilt has the embedding sent/);
  assert.equal(logged(['logits', 'embedding'], { isRebuilt: true }).length, 1);
});
