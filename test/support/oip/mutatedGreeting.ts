/** Students of a server that mutates one message of a connection's first questions, one student after the other. */
import type { TestContext } from 'node:test';
import { ContractMismatchError } from '../../../src/contract/teacher.js';
import { type Draws, drawsFor } from '../../../src/random/draws.js';
import { imageOf } from '../students/scriptedStudent.js';
import { mutatedMessage } from './mutatedMessages.js';
import { assertOipAnswer, oipServer, oipStudent, PIXELS } from './oipStudent.js';
import type { ModelShape } from './scriptedModel.js';
import type { ScriptedOipServer } from './scriptedOipServer.js';

/** What is asked first; the last two with a trial image. */
const METHODS = [
  ...['ServerReady', 'ModelReady', 'ServerMetadata', 'ModelMetadata', 'ModelMetadata'],
  ...['ModelConfig', 'ModelConfig', 'ModelStreamInfer', 'ModelInfer'],
] as const;

const SHAPE: ModelShape = {
  parameters: {
    ...{ 'cirkd.digest': `sha256:${'3'.repeat(64)}`, 'cirkd.output_stride': 8 },
    ...{ 'cirkd.pixel_mean': PIXELS.pixelMean, 'cirkd.pixel_std': PIXELS.pixelStd },
    ...{ 'cirkd.channel_order': 'rgb', 'cirkd.class_names': ['a', 'b', 'c'] },
  },
};

const HANGING_MS = 60_000;

/** How a student's start ended. */
export type GreetingEnd =
  /** The mutation changed nothing that matters, or the questions were asked again: the answer is right. */
  | { readonly kind: 'right' }
  /** The server described another model, which it may. */
  | { readonly kind: 'other' }
  | { readonly kind: 'refused'; readonly message: string };

export class MutatedGreetings {
  readonly server: ScriptedOipServer;
  readonly #t: TestContext;
  readonly #mutating: { draws: Draws; method: string | null };

  static async open(t: TestContext): Promise<MutatedGreetings> {
    const mutating: { draws: Draws; method: string | null } = {
      ...{ draws: drawsFor(0, 'test'), method: null },
    };
    const onBytes = (method: string, bytes: Buffer): Buffer => {
      if (method !== mutating.method) return bytes;
      mutating.method = null;
      return mutatedMessage(method, bytes, mutating.draws).bytes;
    };
    return new MutatedGreetings(t, await oipServer(t, SHAPE, { onBytes }), mutating);
  }

  private constructor(
    t: TestContext,
    server: ScriptedOipServer,
    mutating: { draws: Draws; method: string | null },
  ) {
    this.#t = t;
    this.server = server;
    this.#mutating = mutating;
  }

  /** Throws whatever the student throws that isn't a refusal, and for an answer that is wrong. */
  async greet(number: number): Promise<GreetingEnd> {
    const draws = drawsFor(8, 'test', number);
    const method = METHODS[draws.integer(METHODS.length)] as string;
    Object.assign(this.#mutating, { draws, method });
    const stream = method === 'ModelInfer' ? 'never' : 'auto';
    try {
      const { teacher, protocol } = await oipStudent(
        this.#t,
        [this.server],
        { normalisation: null, stream },
        {
          ...{ requestTimeoutMs: 3000, teacherTimeoutMs: HANGING_MS },
          ...{ firstBackoffMs: 1, maxBackoffMs: 4 },
        },
      );
      const isAsStated = teacher.info.digest === SHAPE.parameters!['cirkd.digest'];
      const image = imageOf(number, 17, 24);
      const { pixelMean, channelOrder, featureChannels } = teacher.info;
      const isSame =
        isAsStated &&
        `${pixelMean}${channelOrder}` === `${PIXELS.pixelMean}rgb` &&
        // Metadata whose output `feature` has another name is that of a model without one.
        featureChannels > 0;
      if (isSame) {
        const reply = await teacher.request(image, AbortSignal.timeout(HANGING_MS));
        assertOipAnswer(reply, image, SHAPE);
      }
      await teacher.close();
      await protocol.close();
      return { kind: isSame ? 'right' : 'other' };
    } catch (error) {
      if (!(error instanceof ContractMismatchError)) throw error;
      return { kind: 'refused', message: error.message };
    }
  }
}
