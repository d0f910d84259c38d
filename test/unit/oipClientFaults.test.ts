/** Servers of the Open Inference Protocol that fail in every way: what the student does, and what it gets. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { ContractMismatchError, NonFiniteReplyError } from '../../src/contract/teacher.js';
import type { ModelInferResponseInput } from '../../src/oip/generated/inference/ModelInferResponse.js';
import { ImageRefusedError } from '../../src/stream/client/errors.js';
import { eventually } from '../support/eventually.js';
import { assertOipAnswer, oipServer, oipStudent } from '../support/oip/oipStudent.js';
import {
  type Asked,
  type Fault,
  Refusal,
  ScriptedOipServer,
} from '../support/oip/scriptedOipServer.js';
import { type ModelShape, scriptedModel } from '../support/oip/scriptedModel.js';
import { imageOf } from '../support/students/scriptedStudent.js';

/** The same faults over a call for each image, and over one stream. */
const WAYS = { calls: 'never', stream: 'always' } as const;
type Way = keyof typeof WAYS;

const wellFrom =
  (number: number, fault: Fault): Fault =>
  (asked) =>
    asked.number < number ? fault(asked) : asked.answer();

/** A student of servers that misbehave as scripted, one after the other well. */
async function studentOf(t: TestContext, way: Way, faults: readonly (Fault | null)[], more = {}) {
  const servers = await Promise.all(
    faults.map((onImage) => oipServer(t, {}, onImage === null ? {} : { onImage })),
  );
  const student = await oipStudent(t, servers, { stream: WAYS[way] }, more);
  return { servers, ...student };
}

async function answers(teacher: { request: OipRequest }, count: number): Promise<void> {
  const images = Array.from({ length: count }, (_, i) => imageOf(i + 1));
  const replies = await Promise.all(images.map((image) => teacher.request(image)));
  for (const [index, reply] of replies.entries()) assertOipAnswer(reply, images[index]!);
}

type OipRequest = Awaited<ReturnType<typeof oipStudent>>['teacher']['request'];

/** Changes one thing about an answer. */
function spoiled(change: (answer: ModelInferResponseInput) => ModelInferResponseInput): Fault {
  return async ({ answer }) => change(await answer());
}

const SPOILS: Readonly<Record<string, [ReturnType<typeof spoiled>, RegExp]>> = {
  'a wrong shape': [
    spoiled(({ outputs, ...rest }) => ({
      ...rest,
      outputs: [{ ...outputs![0]!, shape: [1, 3, 2, 3] }, outputs![1]!],
    })),
    /shape: .*logits: shape \[1, 3, 2, 3\] given, wanted \[1, 3, 3, 3\]/,
  ],
  'a wrong data type': [
    spoiled(({ outputs, ...rest }) => ({
      ...rest,
      outputs: [outputs![0]!, { ...outputs![1]!, datatype: 'FP64' }],
    })),
    /shape: .*feature: datatype FP64 given, wanted FP32/,
  ],
  'an output that is missing': [
    spoiled(({ outputs, rawOutputContents, ...rest }) => ({
      ...rest,
      outputs: [outputs![0]!],
      rawOutputContents: [rawOutputContents![0]!],
    })),
    /shape: .*outputs: logits given, feature is missing/,
  ],
  'too few bytes': [
    spoiled(({ rawOutputContents, ...rest }) => ({
      ...rest,
      rawOutputContents: [rawOutputContents![0]!, (rawOutputContents![1] as Buffer).subarray(4)],
    })),
    /shape: .*feature: 140 bytes given, wanted 144/,
  ],
  'an output twice': [
    spoiled(({ outputs, rawOutputContents, ...rest }) => ({
      ...rest,
      outputs: [...outputs!, outputs![0]!],
      rawOutputContents: [...rawOutputContents!, rawOutputContents![0]!],
    })),
    /shape: .*outputs: logits given twice/,
  ],
  'more contents than outputs': [
    spoiled(({ rawOutputContents, ...rest }) => ({
      ...rest,
      rawOutputContents: [...rawOutputContents!, Buffer.alloc(4)],
    })),
    /shape: .*raw_output_contents: 3 given for 2 outputs/,
  ],
  'typed contents beside raw ones': [
    spoiled(({ outputs, ...rest }) => ({
      ...rest,
      outputs: [{ ...outputs![0]!, contents: { fp32Contents: [1] } }, outputs![1]!],
    })),
    /shape: .*logits: contents given beside raw_output_contents/,
  ],
  'fewer raw contents than outputs without typed ones': [
    spoiled(({ rawOutputContents, ...rest }) => ({
      ...rest,
      rawOutputContents: rawOutputContents!.slice(0, 1),
    })),
    /shape: .*raw_output_contents: 1 given for 2 outputs/,
  ],
  'no bytes': [
    spoiled(({ rawOutputContents: _, ...rest }) => rest),
    /shape: .*logits: 0 numbers given, wanted 27 of FP32/,
  ],
};

/** As KServe's InferResponse.to_grpc() puts it: arrays raw, lists typed. */
const typedAt =
  (place: 0 | 1): Fault =>
  async ({ answer }) => {
    const { outputs, rawOutputContents, ...rest } = await answer();
    const raw = rawOutputContents as Buffer[];
    const floats = new Float32Array(new Uint8Array(raw[place]!).buffer);
    return {
      ...rest,
      outputs: outputs!.map((output, index) =>
        index === place ? { ...output, contents: { fp32Contents: [...floats] } } : output,
      ),
      rawOutputContents: raw.filter((_, index) => index !== place),
    };
  };

for (const [place, name] of ['logits', 'feature'].entries()) {
  test(`${name} as typed contents and the other output raw: both are read`, async (t) => {
    const { teacher, observed } = await studentOf(t, 'calls', [typedAt(place as 0 | 1)]);
    await answers(teacher, 4);
    assert.deepEqual(observed.details, []);
  });
}

for (const way of Object.keys(WAYS) as Way[]) {
  for (const [what, [fault, words]] of Object.entries(SPOILS)) {
    test(`${what} over ${way}: asked for again`, async (t) => {
      const { teacher, observed } = await studentOf(t, way, [wellFrom(3, fault)]);
      await answers(teacher, 6);
      assert.ok(observed.details.length >= 1);
      for (const detail of observed.details) assert.match(detail, words);
    });
  }

  test(`a value that is not finite, over ${way}: once is asked for again, twice ends it`, async (t) => {
    const nan = spoiled(({ rawOutputContents, ...rest }) => {
      const [logits, feature] = rawOutputContents as Buffer[];
      logits!.writeFloatLE(Number.NaN, 8);
      return { ...rest, rawOutputContents: [logits!, feature!] };
    });
    const once = await studentOf(t, way, [wellFrom(2, nan)]);
    await answers(once.teacher, 3);
    assert.deepEqual(once.observed.requeued, ['nonfinite']);
    const ever = await studentOf(t, way, [nan]);
    await assert.rejects(ever.teacher.request(imageOf(1)), (error) => {
      assert.ok(error instanceof NonFiniteReplyError);
      assert.match(error.message, /non-finite logits: NaN at/);
      return true;
    });
  });

  test(`silence over ${way}: another server answers, and the silent one is tried again`, async (t) => {
    const { teacher, observed, servers } = await studentOf(
      t,
      way,
      [wellFrom(4, async () => undefined), null],
      { requestTimeoutMs: 150 },
    );
    const isReady = ({ address }: ScriptedOipServer) =>
      observed.states.includes(`${address} ready`);
    await eventually(() => servers.every(isReady));
    await answers(teacher, 8);
    assert.ok(observed.requeued.includes('timeout'), observed.details.join('\n'));
    await eventually(async () => {
      await answers(teacher, 4);
      return servers[0]!.asked.length > 8;
    });
  });

  test(`a server that dies over ${way} and is back: every image is answered`, async (t) => {
    const dying = await ScriptedOipServer.start(scriptedModel(), {
      onImage: async ({ number, answer }) => (number > 3 ? undefined : answer()),
    });
    const { teacher, observed } = await oipStudent(t, [dying], { stream: WAYS[way] });
    const all = answers(teacher, 10);
    await eventually(() => dying.asked.length > 5);
    dying.stop();
    await setTimeout(30);
    const back = await ScriptedOipServer.start(scriptedModel(), { port: dying.port });
    t.after(() => back.stop());
    await all;
    assert.ok(observed.requeued.length > 0);
    assert.ok(
      observed.requeued.every((reason) => reason === 'stream'),
      `${observed.requeued}`,
    );
    const ready = observed.states.filter((state) => state.endsWith(' ready'));
    assert.equal(ready.length, 2, observed.states.join());
  });

  for (const [field, changed] of [
    ['model_version: 2 answers, agreed was 1', { modelVersion: '2' }],
    ['model_name: other answers, agreed was segmenter', { modelName: 'other' }],
  ] as const) {
    test(`${field}, over ${way}: refused, the others go on`, async (t) => {
      const replaced: Fault = async ({ answer }) => ({ ...(await answer()), ...changed });
      const { teacher, servers, observed } = await studentOf(t, way, [
        async (asked) => (asked.number > 2 ? replaced(asked) : asked.answer()),
        null,
      ]);
      await answers(teacher, 12);
      const [other] = servers;
      assert.ok(
        observed.details.some((detail) => detail.includes(field)),
        `${observed.details}`,
      );
      assert.ok(observed.details.every((detail) => detail.includes(other!.address)));
    });
  }

  test(`no more bytes are asked for than maxInflightBytes, over ${way}`, async (t) => {
    const slow: Fault = async ({ answer }) => {
      await setTimeout(5);
      return answer();
    };
    // An answer is 27 logits, 36 numbers of the feature and 9 norms.
    const replyBytes = 4 * (27 + 36 + 9);
    const { teacher, servers, observed } = await studentOf(t, way, [slow, slow], {
      maxInflightBytes: 3 * replyBytes + 1,
    });
    await answers(teacher, 20);
    assert.equal(observed.worstInflightBytes, 3 * replyBytes);
    assert.ok(servers[0]!.mostUnderWay + servers[1]!.mostUnderWay <= 6);
    assert.ok(servers.every(({ mostUnderWay }) => mostUnderWay <= 3));
    assert.equal(observed.inflightBytes, 0);
  });
}

test('an image that the server calls invalid is refused for good, in its words', async (t) => {
  const { teacher, servers } = await studentOf(t, 'calls', [
    async () => {
      throw new Refusal(status.INVALID_ARGUMENT, "unexpected shape for input 'image'");
    },
  ]);
  await assert.rejects(teacher.request(imageOf(1)), (error) => {
    assert.ok(error instanceof ImageRefusedError);
    assert.match(error.message, /refused image sample-1: INVALID_ARGUMENT: unexpected shape for/);
    return true;
  });
  assert.equal(servers[0]!.asked.length, 2);
});

for (const code of [status.RESOURCE_EXHAUSTED, status.UNAVAILABLE, status.INTERNAL]) {
  test(`${status[code]} for an image: asked for elsewhere`, async (t) => {
    const busy: Fault = async () => {
      throw new Refusal(code, 'Exceeds maximum queue size');
    };
    const { teacher, observed } = await studentOf(t, 'calls', [busy, null]);
    await answers(teacher, 6);
    assert.ok(observed.requeued.length > 0);
    for (const detail of observed.details) {
      assert.match(detail, new RegExp(`^error: .*${status[code]}: Exceeds maximum queue size`));
    }
    // The connection stays: it was the server itself that said so.
    assert.equal(observed.states.filter((state) => state.endsWith('backoff')).length, 0);
  });
}

test('a model that has gone: the server is asked anew, and refused in its words', async (t) => {
  let isThere = true;
  const model = scriptedModel();
  const going = await ScriptedOipServer.start(
    {
      ...model,
      get metadata() {
        return isThere ? model.metadata : { ...model.metadata, name: 'another' };
      },
    },
    {
      onImage: async ({ number, answer }) => {
        if (number < 3) return answer();
        isThere = false;
        throw new Refusal(status.NOT_FOUND, "Request for unknown model: 'segmenter' is not found");
      },
    },
  );
  t.after(() => going.stop());
  const staying = await oipServer(t);
  const details: string[] = [];
  const { teacher } = await oipStudent(
    t,
    [going, staying],
    { stream: 'never' },
    {
      onTeacher: ({ state, detail }) => details.push(`${state} ${detail}`),
    },
  );
  await answers(teacher, 12);
  await eventually(() =>
    details.some((detail) => /^refused .*NOT_FOUND: Request for unknown model/.test(detail)),
  );
});

test('over a call, an answer with the id of another is not taken', async (t) => {
  const { teacher, observed } = await studentOf(t, 'calls', [
    wellFrom(
      3,
      spoiled((answer) => ({ ...answer, id: '99.0' })),
    ),
  ]);
  await answers(teacher, 4);
  assert.match(observed.details[0]!, /id: 99\.0 given, wanted 1\.0/);
});

for (const id of ['', '0b7f3c1e-6f0a-4b53-9a5e-2f1f8d9a4c11']) {
  test(`over a call, an answer with ${id || 'no'} id is taken`, async (t) => {
    const { teacher, observed } = await studentOf(t, 'calls', [
      spoiled((answer) => ({ ...answer, id })),
    ]);
    await answers(teacher, 4);
    assert.deepEqual(observed.requeued, []);
  });
}

test('over a stream, answers come in any order; doubled and unknown ones are counted', async (t) => {
  const held: Asked[] = [];
  const { teacher, observed } = await studentOf(t, 'stream', [
    async (asked) => {
      held.push(asked);
      if (held.length < 4) return undefined;
      for (const { answer, write } of held.splice(0).reverse()) {
        const inferResponse = await answer();
        write!({ inferResponse });
        write!({ inferResponse });
        write!({ inferResponse: { ...inferResponse, id: '7777.0' } });
      }
      return undefined;
    },
  ]);
  await answers(teacher, 4);
  assert.deepEqual(observed.requeued, []);
  await eventually(() => observed.unmatched === 8);
});

test('over a stream, an answer that comes too late is counted and not used', async (t) => {
  const { teacher, observed } = await studentOf(
    t,
    'stream',
    [
      async ({ number, answer }) => {
        if (number === 1) await setTimeout(200);
        return answer();
      },
    ],
    { requestTimeoutMs: 80 },
  );
  await answers(teacher, 3);
  assert.ok(observed.requeued.includes('timeout'));
  await eventually(() => observed.unmatched === 1);
});

test('a stream that breaks: each of its images is asked for again once', async (t) => {
  let broken = 0;
  const { teacher, observed, servers } = await studentOf(t, 'stream', [
    async ({ end, answer }) => {
      if (servers[0]!.asked.length <= 5 && broken === 0) {
        if (servers[0]!.asked.length === 5) {
          broken++;
          end!(status.INTERNAL, 'broken on purpose');
        }
        return undefined;
      }
      return answer();
    },
  ]);
  await answers(teacher, 4);
  assert.deepEqual(observed.requeued, ['stream', 'stream', 'stream', 'stream']);
  assert.match(observed.details[0]!, /INTERNAL: broken on purpose/);
  const images = servers[0]!.asked.filter((id) => id !== 'trial');
  assert.deepEqual(images.sort(), ['1.0', '1.1', '2.0', '2.1', '3.0', '3.1', '4.0', '4.1']);
});

test('an error over a stream: with an id it is about that image', async (t) => {
  const { teacher, observed } = await studentOf(t, 'stream', [
    wellFrom(2, async () => {
      throw new Error('CUDA out of memory');
    }),
  ]);
  await answers(teacher, 3);
  assert.deepEqual(observed.requeued, ['error']);
  assert.match(observed.details[0]!, /UNKNOWN: CUDA out of memory/);
});

test('an error over a stream without an id ends it, as it may be about any image', async (t) => {
  const { teacher, observed } = await studentOf(t, 'stream', [
    wellFrom(2, async ({ write }) => {
      write!({ errorMessage: 'something went wrong' });
      return undefined;
    }),
  ]);
  await answers(teacher, 3);
  assert.ok(observed.requeued.every((reason) => reason === 'stream'));
  assert.match(observed.details[0]!, /an error without an id: something went wrong/);
});

test('another model behind the address after a restart: refused by its digest', async (t) => {
  const first = await ScriptedOipServer.start(scriptedModel());
  const details: string[] = [];
  const { teacher } = await oipStudent(
    t,
    [first],
    {},
    {
      teacherTimeoutMs: 300,
      onTeacher: ({ state, detail }) => details.push(`${state} ${detail}`),
    },
  );
  await answers(teacher, 2);
  first.stop();
  const other: ModelShape = { version: '2' };
  const second = await ScriptedOipServer.start(scriptedModel(other), { port: first.port });
  t.after(() => second.stop());
  await assert.rejects(teacher.request(imageOf(3)), ContractMismatchError);
  const words =
    /^refused digest: teacher oip:.* has oip:sha256:\w+, the first teacher's .* is oip:sha256:/;
  assert.ok(
    details.some((detail) => words.test(detail)),
    details.join('\n'),
  );
});

test('dropped images free the room of others', async (t) => {
  const { teacher, servers } = await studentOf(t, 'calls', [
    async ({ number, answer }) => (number < 9 ? undefined : answer()),
  ]);
  const stop = new AbortController();
  const dropped = Array.from({ length: 8 }, (_, i) => teacher.request(imageOf(i), stop.signal));
  await eventually(() => servers[0]!.asked.length === 9);
  stop.abort(new Error('no longer wanted'));
  for (const each of dropped) await assert.rejects(each, /no longer wanted/);
  await answers(teacher, 5);
});
