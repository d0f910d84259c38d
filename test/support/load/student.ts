/** A student without a network: asks for images of mixed sizes and checks what comes of each. */
import assert from 'node:assert/strict';
import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { type Draws, drawsFor } from '../../../src/random/draws.js';
import { TeacherService } from '../../../src/stream/codec/teacherService.js';
import type { DistillRequestInput } from '../../../src/stream/generated/cirkd/teacher/v1/DistillRequest.js';
import type { DistillResponse } from '../../../src/stream/generated/cirkd/teacher/v1/DistillResponse.js';
import type { TensorChunk } from '../../../src/stream/generated/cirkd/teacher/v1/TensorChunk.js';
import { crc32c } from '../../../src/wire/crc32c.js';
import { DIRECT } from '../connections/grpcProbes.js';
import { hello, image } from '../students/distillPeer.js';

/** height, width; the last one's answer takes megabytes. */
const SIZES = [
  [64, 64],
  [96, 160],
  [128, 256],
  [256, 512],
  [512, 1024],
] as const;

/** Outputs that `hello()` asks for. */
const OUTPUTS = 3;
const CREDIT_BYTES = 32 * 1_048_576;

export interface StudyPlan {
  readonly port: number;
  /** Also the seed of its sizes. */
  readonly number: number;
  /** Images unanswered at a time. */
  readonly window: number;
  /** Ends after so many images; or earlier, when `signal` says so. */
  readonly images: number;
  readonly signal?: AbortSignal;
}

export interface StudyResult {
  readonly asked: number;
  readonly answered: number;
  /** Refused for lack of room, and requested again; part of neither. */
  readonly refused: number;
  readonly latenciesMs: number[];
}

interface Asked {
  readonly sentAtMs: number;
  readonly size: readonly [number, number];
  wholeOutputs: number;
  nextRow: number;
}

/** Rejects when an image gets an answer that isn't right, or none. */
export function study(plan: StudyPlan): Promise<StudyResult> {
  return new Study(plan).run();
}

class Study {
  readonly #plan: StudyPlan;
  readonly #draws: Draws;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<DistillRequestInput, DistillResponse>;
  readonly #unanswered = new Map<number, Asked>();
  readonly #latenciesMs: number[] = [];
  #asked = 0;
  #refused = 0;

  constructor(plan: StudyPlan) {
    this.#plan = plan;
    this.#draws = drawsFor(plan.number, 'test');
    this.#client = new Client(`127.0.0.1:${plan.port}`, credentials.createInsecure(), {
      ...DIRECT,
      'grpc.use_local_subchannel_pool': 1,
    });
    const { path, requestSerialize, responseDeserialize } = TeacherService.service.Distill;
    this.#call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  }

  async run(): Promise<StudyResult> {
    const ended = new Promise<void>((resolve, reject) => {
      this.#call.on('data', (message: DistillResponse) => {
        try {
          this.#receive(message);
        } catch (error) {
          reject(error);
        }
      });
      this.#call.on('error', reject);
      this.#call.on('end', resolve);
    });
    const runId = `study-${this.#plan.number}`;
    this.#call.write({ hello: hello({ runId, creditBytes: CREDIT_BYTES }) });
    try {
      await ended;
    } finally {
      this.#call.cancel();
      this.#client.close();
    }
    assert.equal(this.#unanswered.size, 0, `${runId}: images without an answer`);
    const latenciesMs = this.#latenciesMs;
    const answered = latenciesMs.length;
    return { asked: this.#asked, answered, refused: this.#refused, latenciesMs };
  }

  #receive({ welcome, tensor, error }: DistillResponse): void {
    if (tensor) this.#take(tensor);
    if (error) {
      assert.equal(error.code, 8, `image ${error.id}: ${error.code} ${error.message}`);
      this.#refused += 1;
      const { size } = this.#unanswered.get(error.id) as Asked;
      this.#unanswered.delete(error.id);
      this.#send(size);
    }
    if (welcome || this.#unanswered.size < this.#plan.window) this.#askOn();
  }

  #askOn(): void {
    const { images, window, signal } = this.#plan;
    while (this.#unanswered.size < window && this.#asked < images && !signal?.aborted) {
      this.#asked += 1;
      this.#send(SIZES[this.#draws.integer(SIZES.length)] as Asked['size']);
    }
    if (this.#unanswered.size === 0) this.#call.end();
  }

  #send(size: Asked['size']): void {
    const id = this.#asked + this.#refused;
    const sentAtMs = performance.now();
    this.#unanswered.set(id, { sentAtMs, size, wholeOutputs: 0, nextRow: 0 });
    this.#call.write({ image: image(id, id % 256, size) });
  }

  #take({ id, rowBegin, rowEnd, shape, crc32c: checksum, data }: TensorChunk): void {
    const asked = this.#unanswered.get(id);
    assert.ok(asked, `image ${id}: a tensor of one that isn't asked for`);
    assert.equal(rowBegin, asked.nextRow, `image ${id}: row`);
    assert.equal(crc32c(data), checksum, `image ${id}: crc32c`);
    assert.deepEqual(
      shape.slice(0, 2),
      asked.size.map((side) => side / 8),
    );
    this.#call.write({ creditBytes: data.length });
    asked.nextRow = rowEnd === shape[0] ? 0 : rowEnd;
    if (asked.nextRow > 0) return;
    asked.wholeOutputs += 1;
    if (asked.wholeOutputs < OUTPUTS) return;
    this.#unanswered.delete(id);
    this.#latenciesMs.push(performance.now() - asked.sentAtMs);
  }
}
