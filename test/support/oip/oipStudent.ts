/** Clients of scripted OIP servers, for the length of a test, and a check of the answers that they get. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { TeacherImage, TeacherReply } from '../../../src/contract/teacher.js';
import { OipProtocol } from '../../../src/oip/client/oipConversation.js';
import {
  type InputDatatype,
  NO_OIP_SETTINGS,
  type Normalisation,
  type OipSettings,
} from '../../../src/oip/client/settings.js';
import { PixelEncoder } from '../../../src/oip/client/pixels.js';
import type { ClientOptions } from '../../../src/stream/client/options.js';
import { connectTeachers, type RemoteTeacher } from '../../../src/stream/client/remoteTeacher.js';
import { type Observed, studentOptions } from '../students/scriptedStudent.js';
import { type OipScript, ScriptedOipServer } from './scriptedOipServer.js';
import {
  CHANNELS,
  CLASSES,
  type ModelShape,
  scriptedModel,
  seedOfBytes,
  STRIDE,
  valueAt,
} from './scriptedModel.js';

/** Of every student here, where the model's parameters don't state another. */
export const PIXELS: Normalisation = {
  pixelMean: [10, 20, 30],
  pixelStd: [2, 4, 8],
  channelOrder: 'rgb',
};

export async function oipServer(
  t: TestContext,
  shape: ModelShape = {},
  script: OipScript = {},
): Promise<ScriptedOipServer> {
  const server = await ScriptedOipServer.start(scriptedModel(shape), script);
  t.after(() => server.stop());
  return server;
}

export interface OipObserved extends Observed {
  unmatched: number;
  /** Of each image that was asked for again: the reason and what was said. */
  readonly details: string[];
}

export interface OipStudent {
  readonly teacher: RemoteTeacher;
  readonly protocol: OipProtocol;
  readonly observed: OipObserved;
}

export async function oipStudent(
  t: TestContext,
  servers: readonly (ScriptedOipServer | string)[],
  settings: Partial<OipSettings> = {},
  changes: Partial<ClientOptions> = {},
): Promise<OipStudent> {
  const addresses = servers.map((one) => (typeof one === 'string' ? one : one.address));
  const { options, observed: seen } = studentOptions(addresses);
  const observed: OipObserved = Object.assign(seen, { unmatched: 0, details: [] });
  const protocol = new OipProtocol({
    settings: { ...NO_OIP_SETTINGS, normalisation: PIXELS, ...settings },
    trialSize: { height: 16, width: 32 },
  });
  t.after(() => protocol.close());
  const all: ClientOptions = {
    ...options,
    onRequeued(reason, detail) {
      observed.requeued.push(reason);
      observed.details.push(`${reason}: ${detail}`);
    },
    onUnmatched() {
      observed.unmatched++;
    },
    ...changes,
  };
  const teacher = await connectTeachers(all, undefined, [protocol]);
  t.after(() => teacher.close());
  return { teacher, protocol, observed };
}

/** Fails unless the reply is the scripted model's to this image, bit for bit. */
export function assertOipAnswer(
  reply: TeacherReply,
  image: TeacherImage,
  shape: ModelShape = {},
  pixels: Normalisation = PIXELS,
): void {
  const { layout = 'nchw', hasFeature = true } = shape;
  const datatype = (shape.input?.datatype ?? 'FP32') as InputDatatype;
  const seed = seedOfBytes(new PixelEncoder({ datatype, layout, pixels }).encode(image));
  const h = Math.ceil(image.height / STRIDE);
  const w = Math.ceil(image.width / STRIDE);
  const rows = (role: 'logits' | 'feature', channels: number) =>
    Array.from({ length: h * w }, (_, p) =>
      Array.from({ length: channels }, (_, c) => valueAt(seed, role, p, c)),
    );
  const given = (tensor: TeacherReply['logits']) => [...new Float32Array(tensor!.data)];
  assert.deepEqual(reply.logits!.shape, [h, w, CLASSES]);
  assert.deepEqual(given(reply.logits), rows('logits', CLASSES).flat());
  assert.equal(reply.embeddingScale, null);
  if (!hasFeature) {
    assert.deepEqual([reply.embedding, reply.featureNorm], [null, null]);
    return;
  }
  const feature = rows('feature', CHANNELS);
  const norms = feature.map((row) => Math.fround(Math.hypot(...row)));
  assert.deepEqual(reply.embedding!.shape, [h, w, CHANNELS]);
  assert.deepEqual(
    given(reply.embedding),
    feature.flatMap((row, p) => row.map((value) => Math.fround(value / norms[p]!))),
  );
  assert.deepEqual(reply.featureNorm!.shape, [h, w]);
  assert.deepEqual(given(reply.featureNorm), norms);
}
