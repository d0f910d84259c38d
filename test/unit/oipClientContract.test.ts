/** What a student learns of a model before it sends images: asked for, refused, or known without a config. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ServerCredentials, status } from '@grpc/grpc-js';
import { oipProtocol, withMissingKeys } from '../../services/program/oipProtocol.js';
import { ConfigError } from '../../src/config/configError.js';
import { loadConfig } from '../../src/config/load.js';
import { oipSchema } from '../../src/config/sections/oipSection.js';
import { ContractMismatchError, TeacherUnavailableError } from '../../src/contract/teacher.js';
import { OipProtocol } from '../../src/oip/client/oipConversation.js';
import { NO_OIP_SETTINGS, type OipSettings } from '../../src/oip/client/settings.js';
import type { ModelInferResponseInput } from '../../src/oip/generated/inference/ModelInferResponse.js';
import { openClientSecurity } from '../../src/rpc/security/clientSecurity.js';
import { ImageRefusedError } from '../../src/stream/client/errors.js';
import type { ClientOptions } from '../../src/stream/client/options.js';
import { connectTeachers } from '../../src/stream/client/remoteTeacher.js';
import { Authority } from '../support/certificates/authority.js';
import { SecurityFolder } from '../support/certificates/folder.js';
import { assertOipAnswer, oipServer, oipStudent, PIXELS } from '../support/oip/oipStudent.js';
import { CHANNELS, CLASSES, type ModelShape, scriptedModel } from '../support/oip/scriptedModel.js';
import { Refusal, ScriptedOipServer } from '../support/oip/scriptedOipServer.js';
import { imageOf, studentOptions } from '../support/students/scriptedStudent.js';
import { teachers } from '../support/teachers/scriptedFleet.js';

/** Settings and hooks of a student that doesn't wait for a server to change its mind. */
type Refused = {
  readonly settings?: Partial<OipSettings>;
  readonly changes?: Partial<ClientOptions>;
};

async function refusal(
  t: TestContext,
  shape: ModelShape,
  { settings = {}, changes = {} }: Refused = {},
): Promise<Error> {
  const server = await oipServer(t, shape);
  try {
    await oipStudent(t, [server], settings, changes);
  } catch (error) {
    assert.ok(error instanceof ContractMismatchError, String(error));
    return error;
  }
  return assert.fail('it fits');
}

const FORMS: readonly ModelShape[] = [
  {},
  { layout: 'nhwc' },
  { layout: 'nhwc', outputLayout: 'nchw' },
  { outputLayout: 'nhwc', outputDatatype: 'FP16' },
  { input: { datatype: 'FP16' }, outputDatatype: 'BF16' },
  { input: { datatype: 'BF16' }, layout: 'nhwc' },
  { hasBatchAxis: false },
  { parameters: null },
  { isTyped: true },
  { hasFeature: false },
  { names: { logits: '1523', feature: '1520' } },
  { size: [-1, 24] },
];

for (const shape of FORMS) {
  test(`a model of the form ${JSON.stringify(shape)}`, async (t) => {
    const server = await oipServer(t, shape);
    const { teacher } = await oipStudent(t, [server]);
    const { info } = teacher;
    assert.equal(info.classes, CLASSES);
    assert.equal(info.featureChannels, shape.hasFeature === false ? 0 : CHANNELS);
    assert.equal(info.outputStride, 8);
    assert.equal(info.alignCorners, false);
    assert.deepEqual([info.pixelMean, info.pixelStd], [PIXELS.pixelMean, PIXELS.pixelStd]);
    for (const image of [imageOf(1), imageOf(2, 40, 24)]) {
      assertOipAnswer(await teacher.request(image), image, shape);
    }
  });
}

test('pixels as they are need no normalisation', async (t) => {
  const shape: ModelShape = { input: { datatype: 'UINT8' }, layout: 'nhwc' };
  const server = await oipServer(t, shape);
  const { teacher } = await oipStudent(t, [server], { normalisation: null });
  const raw = { pixelMean: [0, 0, 0], pixelStd: [1, 1, 1], channelOrder: 'rgb' } as const;
  assertOipAnswer(await teacher.request(imageOf(5)), imageOf(5), shape, raw);
});

test('what a server states of a teacher of this project needs no setting', async (t) => {
  const digest = `sha256:${'b'.repeat(64)}`;
  const server = await oipServer(t, {
    parameters: {
      'cirkd.digest': digest,
      'cirkd.model': 'psp_mobile',
      'cirkd.pixel_mean': PIXELS.pixelMean,
      'cirkd.pixel_std': PIXELS.pixelStd,
      'cirkd.channel_order': 'rgb',
      'cirkd.output_stride': 8,
      'cirkd.align_corners': true,
      'cirkd.class_names': ['road', 'sky', 'car'],
      'cirkd.numeric_mode': JSON.stringify('fp32'),
    },
  });
  const { teacher } = await oipStudent(t, [server], { normalisation: null });
  assert.deepEqual(teacher.info, {
    digest,
    model: 'psp_mobile',
    classes: 3,
    featureChannels: CHANNELS,
    hasAuxLogits: false,
    outputStride: 8,
    ...PIXELS,
    alignCorners: true,
    numericMode: 'fp32',
    classNames: ['road', 'sky', 'car'],
  });
  assertOipAnswer(await teacher.request(imageOf(1)), imageOf(1));
});

test('one error asks for all that is missing, and says what the server said', async (t) => {
  const silent: ModelShape = { statesTensors: false, parameters: null };
  const all = await refusal(t, silent, { settings: { normalisation: null } });
  const keysOf = ({ message }: Error) =>
    [...message.matchAll(/teacher\.oip\.(\w+) \(/g)].map(([, key]) => key);
  assert.deepEqual(keysOf(all), ['input', 'normalisation']);
  assert.match(
    all.message,
    /It says: model segmenter \(platform scripted, server scripted 1\); inputs none; outputs none/,
  );
  const settings = { normalisation: null, input: 'image' };
  const named = await refusal(t, silent, { settings });
  assert.deepEqual(keysOf(named), ['datatype', 'layout', 'normalisation']);
  const unclear = await refusal(
    t,
    { names: { logits: 'a', feature: 'b' } },
    { settings: { normalisation: null }, changes: { expected: { outputStride: 8 } } },
  );
  assert.deepEqual(keysOf(unclear), ['normalisation', 'logits']);
  assert.match(
    unclear.message,
    /which of a \(3 channels, 2 x 4\), b \(4 channels, 2 x 4\) has the class scores/,
  );
});

test('the missing keys end a command as a config error does, one fault a key', async (t) => {
  const server = await oipServer(t, { statesTensors: false });
  const section = loadConfig(oipSchema, {
    text: '',
    fileName: '--oip',
    overrides: ['input=image'],
  });
  const protocol = oipProtocol(section, { height: 8, width: 8 });
  t.after(() => protocol.close());
  const { options } = studentOptions([server.address]);
  const thrown = await connectTeachers(options, undefined, [protocol]).catch((error) => error);
  assert.ok(thrown instanceof ContractMismatchError);
  const error = withMissingKeys(thrown, protocol);
  assert.ok(error instanceof ConfigError, String(error));
  assert.deepEqual(
    error.faults.map(({ key }) => key),
    ['teacher.oip.datatype', 'teacher.oip.layout', 'teacher.oip.normalisation'],
  );
  assert.match(error.message, /datatype: missing, wanted .*; the server says: model segmenter/);
  assert.match(error.message, /normalisation: missing, wanted .*imagenet, official, unit or none/);
});

test('with all of it given, a server that states no tensors is as good as any', async (t) => {
  const shape: ModelShape = { statesTensors: false, parameters: null };
  const server = await oipServer(t, shape);
  const settings = { input: 'image', datatype: 'FP32', layout: 'nchw' } as const;
  const { teacher } = await oipStudent(t, [server], settings);
  assertOipAnswer(await teacher.request(imageOf(1)), imageOf(1));
});

const MISFITS: readonly [string, ModelShape, Refused, RegExp][] = [
  [
    'another number of classes',
    { classes: 5 },
    {},
    /classes: teacher .* has 5, the student's is 3/,
  ],
  ['logits at full size', { stride: 1 }, {}, /output_stride: teacher .* has 1, the student's is 8/],
  [
    'an output that is not there',
    {},
    { settings: { logits: 'scores' } },
    /teacher\.oip\.logits: scores given, the model has logits FP32 \[-1, 3, -1, -1\]; feature FP32/,
  ],
  [
    'a feature that is not there',
    { hasFeature: false },
    { settings: { feature: 'penultimate' } },
    /teacher\.oip\.feature: penultimate given, the model has logits/,
  ],
  [
    'an input that is not there',
    {},
    { settings: { input: 'pixels' } },
    /teacher\.oip\.input: pixels given, the model has image FP32 \[-1, 3, -1, -1\]/,
  ],
  [
    'another data type',
    {},
    { settings: { datatype: 'FP16' } },
    /teacher\.oip\.datatype: FP16 given, the model's input is image FP32/,
  ],
  [
    'a data type that no image has',
    { input: { datatype: 'INT64' } },
    {},
    /input image INT64 .*: an image is sent as one of FP32, FP16, BF16, UINT8/,
  ],
  [
    'a size that no memory holds',
    { size: [1_000_000, 1_000_000] },
    {},
    /input image FP32 \[-1, 3, 1000000, 1000000\]: wanted at most 67108864 pixels/,
  ],
  [
    'another layout',
    {},
    { settings: { layout: 'nhwc' } },
    /input image FP32 \[-1, 3, -1, -1\]: wanted 3 channels where nhwc has them/,
  ],
  [
    'a stride that does not fit',
    {},
    { settings: { outputStride: 4 } },
    /teacher\.oip\.outputStride: 4 given, the model's logits are 2 x 4 for an image of 16 x 32/,
  ],
  [
    'class names of another number',
    {},
    { settings: { classNames: ['a', 'b'] } },
    /teacher\.oip\.classNames: 2 given, output logits FP32 \[1, 3, 2, 4\] has 3 channels/,
  ],
  [
    'a normalisation for pixels as they are',
    { input: { datatype: 'UINT8' } },
    {},
    /teacher\.oip\.normalisation: rgb less 10, 20, 30, divided by 2, 4, 8 given, but the model's input is image UINT8/,
  ],
  [
    'a normalisation other than the stated one',
    {
      parameters: {
        'cirkd.pixel_mean': [1, 2, 3],
        'cirkd.pixel_std': [1, 1, 1],
        'cirkd.channel_order': 'bgr',
      },
    },
    {},
    /normalisation: \[10, 20, 30\] given, the model's parameter cirkd\.pixel_mean says \[1, 2, 3\].*rgb given, the model's parameter cirkd\.channel_order says bgr/,
  ],
  [
    'a normalisation that differs in the one field stated',
    { parameters: { 'cirkd.channel_order': 'bgr' } },
    {},
    /normalisation: rgb given, the model's parameter cirkd\.channel_order says bgr/,
  ],
  [
    'a digest other than the stated one',
    { parameters: { 'cirkd.digest': `sha256:${'b'.repeat(64)}` } },
    { settings: { digest: `sha256:${'a'.repeat(64)}` } },
    /teacher\.oip\.digest: sha256:a{64} given, the model's parameter cirkd\.digest says sha256:b{64}/,
  ],
  [
    'corners other than the stated ones',
    { parameters: { 'cirkd.align_corners': true } },
    { settings: { alignCorners: false } },
    /teacher\.oip\.alignCorners: false given, the model's parameter cirkd\.align_corners says true/,
  ],
  [
    'a parameter that cannot be read',
    { parameters: { 'cirkd.pixel_std': [1, 0, 1] } },
    {},
    /parameter cirkd\.pixel_std: \[1,0,1\] given, wanted a list of three numbers > 0/,
  ],
  [
    'an answer over streams only',
    { config: { modelTransactionPolicy: { decoupled: true } } },
    { settings: { stream: 'never' } },
    /teacher\.oip\.stream: never given, teacher .* has a decoupled model/,
  ],
  [
    'a stream that is wanted and not there',
    { parameters: null },
    { settings: { stream: 'always' } },
    /refused ModelStreamInfer: UNIMPLEMENTED: no streams here/,
  ],
  [
    'the digest of another',
    {},
    { changes: { expected: { outputStride: 8, digest: `sha256:${'c'.repeat(64)}` } } },
    /digest: teacher .* has oip:sha256:\w{64}, the student's is sha256:c{64}/,
  ],
];

for (const [what, shape, refused, words] of MISFITS) {
  test(`refused: ${what}`, async (t) => {
    const error = await refusal(t, shape, refused);
    assert.match(error.message, words);
    assert.match(error.message, /oip:\/\/127\.0\.0\.1:\d+\/segmenter/);
  });
}

test('a server that does not know the model is refused in its words, one of ours as well', async (t) => {
  const server = await oipServer(t);
  const address = server.address.replace('segmenter', 'other');
  await assert.rejects(
    oipStudent(t, [address]),
    /ModelReady: NOT_FOUND: Request for unknown model: 'other' is not found/,
  );
  const vague = await oipServer(
    t,
    {},
    {
      isModelReady: () => {
        throw new Refusal(status.UNKNOWN, 'Model other not found');
      },
    },
  );
  await assert.rejects(
    oipStudent(t, [vague.address.replace('segmenter', 'other')]),
    /ModelMetadata: NOT_FOUND: Request for unknown model: 'other' is not found/,
  );
  const [ours] = await teachers(t, {});
  await assert.rejects(
    oipStudent(t, [`oip://${ours!.address}/segmenter`]),
    /refused ServerReady: UNIMPLEMENTED/,
  );
});

test('a server or model that is not ready is waited for', async (t) => {
  let [isServerReady, isModelReady] = [false, false];
  const server = await oipServer(
    t,
    {},
    { isServerReady: () => isServerReady, isModelReady: () => isModelReady },
  );
  const details: string[] = [];
  const changes: Partial<ClientOptions> = {
    onTeacher: ({ state, detail }) => {
      details.push(`${state} ${detail}`);
      isModelReady = details.some((each) => each.endsWith('model segmenter is not ready'));
      isServerReady = details.length > 4;
    },
  };
  const { teacher } = await oipStudent(t, [server], {}, changes);
  assert.ok(details.includes('backoff UNAVAILABLE: the server is not ready'), details.join('\n'));
  assert.ok(details.includes('backoff UNAVAILABLE: model segmenter is not ready'));
  assertOipAnswer(await teacher.request(imageOf(1)), imageOf(1));
});

test('nobody there: unavailable, not a contract', async (t) => {
  const server = await oipServer(t);
  server.stop();
  await assert.rejects(
    oipStudent(t, [server], {}, { teacherTimeoutMs: 150 }),
    TeacherUnavailableError,
  );
});

test('auto: a stream where the server answers over one, else calls', async (t) => {
  for (const parameters of [{}, null]) {
    const seen: string[] = [];
    const server = await oipServer(
      t,
      { parameters },
      {
        onImage: async ({ answer, write }) => {
          seen.push(write === undefined ? 'call' : 'stream');
          return answer();
        },
      },
    );
    const { teacher } = await oipStudent(t, [server]);
    await teacher.request(imageOf(1));
    assert.deepEqual(seen, [parameters === null ? 'call' : 'stream']);
  }
});

/** Changes a model's answers, the trial's among them. */
async function connectedTo(
  t: TestContext,
  change: (answer: ModelInferResponseInput, number: number) => ModelInferResponseInput,
  changes: Partial<ClientOptions> = {},
) {
  const model = scriptedModel();
  let number = 0;
  const answer: typeof model.answer = async (request) =>
    change(await model.answer(request), ++number);
  const server = await ScriptedOipServer.start({ ...model, answer });
  t.after(() => server.stop());
  return { server, ...(await oipStudent(t, [server], { stream: 'never' }, changes)) };
}

const withoutFeature = ({ outputs, rawOutputContents, ...rest }: ModelInferResponseInput) => ({
  ...rest,
  outputs: outputs!.slice(0, 1),
  rawOutputContents: rawOutputContents!.slice(0, 1),
});

test('a stated feature that no answer has: learnt from without it, or refused by name', async (t) => {
  const { teacher } = await connectedTo(t, withoutFeature, { outputs: ['logits'] });
  assert.equal(teacher.info.featureChannels, 0);
  assertOipAnswer(await teacher.request(imageOf(1)), imageOf(1), { hasFeature: false });
  let trials = 0;
  const lacking = connectedTo(
    t,
    (answer, number) => {
      trials = number;
      return withoutFeature(answer);
    },
    { teacherTimeoutMs: 3000 },
  );
  await assert.rejects(lacking, (error) => {
    assert.ok(error instanceof ContractMismatchError, String(error));
    assert.match(error.message, /oip:.*model segmenter states.* logits given, feature is missing/);
    return true;
  });
  assert.equal(trials, 3);
});

test('the derived digest is the same for a student without use for the feature', async (t) => {
  const server = await oipServer(t);
  const digests: string[] = [];
  for (const outputs of [['logits'], ['logits', 'embedding', 'feature_norm']] as const) {
    const { teacher } = await oipStudent(t, [server], {}, { outputs });
    digests.push(teacher.info.digest);
  }
  assert.equal(digests[0], digests[1]);
});

test("a trial's answer without an output that it asked for, or of another length, is asked for again", async (t) => {
  const changes: Readonly<Record<string, (answer: ModelInferResponseInput) => object>> = {
    'outputs: logits given, feature is missing': ({ outputs, rawOutputContents }) => ({
      outputs: outputs!.slice(0, 1),
      rawOutputContents: rawOutputContents!.slice(0, 1),
    }),
    'feature: 4 bytes given, FP32 [1, 4, 2, 4] has 128': ({ outputs, rawOutputContents }) => ({
      outputs,
      rawOutputContents: [rawOutputContents![0]!, Buffer.alloc(4)],
    }),
  };
  for (const [said, change] of Object.entries(changes)) {
    const { teacher, observed, server } = await connectedTo(t, (answer, number) =>
      number === 1 ? { ...answer, ...change(answer) } : answer,
    );
    // Not taken for a model without a feature.
    assert.equal(teacher.info.featureChannels, CHANNELS);
    assert.deepEqual(server.asked, ['trial', 'trial'], said);
    assert.deepEqual(
      observed.states.map((state) => state.split(' ')[1]),
      ['connecting', 'backoff', 'connecting', 'ready'],
    );
  }
});

test('a model of one size refuses images of others, with both sizes', async (t) => {
  const server = await oipServer(t, { size: [24, 40] });
  const { teacher } = await oipStudent(t, [server]);
  const fitting = imageOf(1, 24, 40);
  assertOipAnswer(await teacher.request(fitting), fitting);
  await assert.rejects(teacher.request(imageOf(2)), (error) => {
    assert.ok(error instanceof ImageRefusedError);
    assert.match(error.message, /image size: 17 x 24 given, the model of teacher .* takes 24 x 40/);
    return true;
  });
});

test('where all images have one size, a model of another is refused before it is tried', async (t) => {
  const connected = async (size: readonly [number, number]) => {
    const server = await oipServer(t, { size });
    const protocol = new OipProtocol({
      settings: { ...NO_OIP_SETTINGS, normalisation: PIXELS },
      trialSize: { height: 16, width: 32 },
      isOnlySize: true,
    });
    t.after(() => protocol.close());
    const { options } = studentOptions([server.address]);
    const outcome = connectTeachers(options, undefined, [protocol]).then((teacher) =>
      teacher.close(),
    );
    return { server, outcome };
  };
  const other = await connected([4096, 1]);
  await assert.rejects(
    other.outcome,
    /image size: the model takes 4096 x 1, the student's crops are 16 x 32/,
  );
  assert.deepEqual(other.server.asked, []);
  await (await connected([16, 32])).outcome;
});

/** The digest that a student derives from a model. */
async function digestOf(
  t: TestContext,
  shape: ModelShape,
  settings: Partial<OipSettings> = {},
): Promise<string> {
  const { teacher } = await oipStudent(t, [await oipServer(t, shape)], settings);
  return teacher.info.digest;
}

test('a derived digest follows from what the server says and how its answers are read', async (t) => {
  const digest = await digestOf(t, {});
  assert.match(digest, /^oip:sha256:[0-9a-f]{64}$/);
  // A server without Triton's extensions, at another port, says the same.
  assert.equal(await digestOf(t, { parameters: null }), digest);
  const others = [
    await digestOf(t, { version: '2' }),
    await digestOf(t, { outputDatatype: 'FP16' }),
    await digestOf(t, { hasFeature: false }),
    await digestOf(t, { parameters: { trained: 'yesterday' } }),
    await digestOf(t, {}, { normalisation: { ...PIXELS, channelOrder: 'bgr' } }),
    await digestOf(t, {}, { feature: 'none' }),
    await digestOf(t, {}, { alignCorners: true }),
  ];
  assert.equal(new Set([digest, ...others]).size, others.length + 1);
});

test('how a model is asked and read is the scope of its answers, whatever its digest', async (t) => {
  const digest = `sha256:${'d'.repeat(64)}`;
  const scopeOf = async (shape: ModelShape, settings: Partial<OipSettings> = {}) => {
    const server = await oipServer(t, shape);
    const { teacher } = await oipStudent(t, [server], { digest, ...settings });
    assert.equal(teacher.info.digest, digest);
    return teacher.answerScope;
  };
  const scope = await scopeOf({});
  // Another version of the server's program is vouched to be the same network.
  assert.equal(await scopeOf({ version: '2' }), scope);
  const others = [
    await scopeOf({ outputDatatype: 'FP16' }),
    await scopeOf({ outputDatatype: 'BF16' }),
    await scopeOf({ input: { datatype: 'FP16' } }),
    await scopeOf({ layout: 'nhwc' }),
    await scopeOf({ names: { logits: 'aux', feature: 'feature' } }),
    await scopeOf({}, { normalisation: { ...PIXELS, channelOrder: 'bgr' } }),
    await scopeOf({}, { feature: 'none' }),
  ];
  assert.equal(new Set(['', scope, ...others]).size, others.length + 2);
});

test('servers of different make are one fleet if someone vouches for their weights', async (t) => {
  const [one, other] = [await oipServer(t, {}), await oipServer(t, { version: 'b' })];
  const vouched = `sha256:${'d'.repeat(64)}`;
  const states: string[] = [];
  const changes: Partial<ClientOptions> = {
    onTeacher: ({ state, detail }) => states.push(`${state} ${detail}`),
  };
  const { teacher } = await oipStudent(t, [one, other], { digest: vouched }, changes);
  await Promise.all(Array.from({ length: 8 }, (_, i) => teacher.request(imageOf(i))));
  assert.deepEqual(
    states.filter((state) => state.startsWith('ready')),
    [`ready ${vouched}`, `ready ${vouched}`],
  );
  const unvouched: string[] = [];
  const alone = await oipStudent(
    t,
    [one, other],
    {},
    { onTeacher: ({ state }) => unvouched.push(state) },
  );
  await Promise.all(Array.from({ length: 8 }, (_, i) => alone.teacher.request(imageOf(i))));
  assert.ok(unvouched.includes('refused'));
});

test('headers and a token over TLS come with every call', async (t) => {
  const authority = new Authority();
  const { certificate, key } = authority.issue();
  const folder = new SecurityFolder();
  t.after(() => folder.remove());
  const seen: Readonly<Record<string, unknown>>[] = [];
  const server = await ScriptedOipServer.start(scriptedModel(), {
    credentials: ServerCredentials.createSsl(null, [
      { cert_chain: Buffer.from(certificate), private_key: Buffer.from(key) },
    ]),
    onMetadata: (metadata) => seen.push(metadata),
  });
  t.after(() => server.stop());
  const security = await openClientSecurity({
    tls: { ca: folder.write('ca.pem', authority.certificate), identity: null },
    token: folder.write('token', 'secret-token-of-the-student\n'),
  });
  t.after(() => security.close());
  const address = server.address.replace('oip:', 'oips:');
  const { teacher } = await oipStudent(
    t,
    [address],
    { headers: { 'x-tenant': 'road' } },
    { credentials: security.credentials },
  );
  await teacher.request(imageOf(1));
  assert.ok(seen.length >= 6, `${seen.length} calls`);
  for (const metadata of seen) {
    assert.equal(metadata['x-tenant'], 'road');
    assert.equal(metadata['cirkd-run'], 'test-run');
    assert.equal(metadata.authorization, 'Bearer secret-token-of-the-student');
  }
});
