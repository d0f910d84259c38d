/** A client of the Distill stream that sends exactly what a test tells it to, right or wrong. */
import { once } from 'node:events';
import { Client, type ClientDuplexStream, credentials, type StatusObject } from '@grpc/grpc-js';
import { TeacherService } from '../../../src/stream/codec/teacherService.js';
import type { DistillRequestInput } from '../../../src/stream/generated/cirkd/teacher/v1/DistillRequest.js';
import type { DistillResponse } from '../../../src/stream/generated/cirkd/teacher/v1/DistillResponse.js';
import type { HelloInput } from '../../../src/stream/generated/cirkd/teacher/v1/Hello.js';
import type { ImageInput } from '../../../src/stream/generated/cirkd/teacher/v1/Image.js';
import type { TensorChunk } from '../../../src/stream/generated/cirkd/teacher/v1/TensorChunk.js';
import { crc32c } from '../../../src/wire/crc32c.js';
import { WAIT_MS } from '../eventually.js';

type Kind = NonNullable<DistillResponse['message']>;

export class DistillPeer {
  static readonly #open = new Set<DistillPeer>();

  /** What the call ended with. */
  readonly status: Promise<StatusObject>;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<DistillRequestInput | Buffer, DistillResponse>;
  readonly #inbox: DistillResponse[] = [];
  #waiting: (() => void)[] = [];
  #isOpen = true;
  #end = 'still open';
  /** Of all chunks that have come, taken or not. */
  receivedTensorBytes = 0;

  /** For afterEach: a peer that a failed test left open would keep the process alive. */
  static closeAll(): void {
    for (const peer of DistillPeer.#open) peer.close();
  }

  constructor(port: number, channelOptions: object = {}) {
    DistillPeer.#open.add(this);
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      // grpc-js would take the machine's proxy for 127.0.0.1 too.
      'grpc.enable_http_proxy': 0,
      ...channelOptions,
    });
    const { path, requestSerialize, responseDeserialize } = TeacherService.service.Distill;
    this.#call = this.#client.makeBidiStreamRequest(
      path,
      (message) => (Buffer.isBuffer(message) ? message : requestSerialize(message)),
      responseDeserialize,
    );
    this.#call.on('data', (message: DistillResponse) => {
      this.#inbox.push(message);
      this.receivedTensorBytes += message.tensor?.data.length ?? 0;
      this.#wake();
    });
    this.#call.on('error', () => {});
    this.status = new Promise((resolve) => this.#call.once('status', resolve));
    void this.status.then(({ code, details }) => {
      this.#isOpen = false;
      this.#end = `ended with ${code}: ${details}`;
    });
  }

  /** A message, or bytes in the place of one. False when `drained` should be waited for. */
  send(message: DistillRequestInput | Buffer): boolean {
    return this.#call.write(message);
  }

  /** What was sent is on its way, or the call has ended. */
  async drained(): Promise<void> {
    await Promise.race([once(this.#call, 'drain').catch(() => {}), this.status]);
  }

  /** Says hello and waits for the welcome. */
  async greet(fields: HelloInput = {}): Promise<DistillResponse['welcome']> {
    this.send({ hello: hello(fields) });
    return (await this.take('welcome')).welcome;
  }

  /**
   * The next message of a kind, with those of other kinds left where they are. Throws, with what
   * came instead, where none comes in a minute.
   */
  async take(kind: Kind): Promise<DistillResponse> {
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, WAIT_MS);
    try {
      for (;;) {
        const index = this.#inbox.findIndex((message) => message.message === kind);
        const [found] = index < 0 ? [] : this.#inbox.splice(index, 1);
        if (found) return found;
        if (isLate) throw new Error(this.#inVain(kind));
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      clearTimeout(late);
    }
  }

  /** Messages of a kind that have come and weren't taken. */
  count(kind: Kind): number {
    return this.#inbox.filter((message) => message.message === kind).length;
  }

  /** Takes chunks until the last row of `outputs` outputs has come. */
  async takeAnswer(outputs: number): Promise<TensorChunk[]> {
    const chunks: TensorChunk[] = [];
    for (let whole = 0; whole < outputs; ) {
      const chunk = (await this.take('tensor')).tensor as TensorChunk;
      chunks.push(chunk);
      if (chunk.rowEnd === chunk.shape[0]) whole += 1;
    }
    return chunks;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  halfClose(): void {
    this.#call.end();
  }

  cancel(): void {
    this.#call.cancel();
  }

  pauseReading(): void {
    this.#call.pause();
  }

  resumeReading(): void {
    this.#call.resume();
  }

  close(): void {
    DistillPeer.#open.delete(this);
    this.#call.cancel();
    this.#client.close();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #inVain(kind: Kind): string {
    const came = this.#inbox.map(({ message }) => message).join(', ') || 'nothing';
    return `no ${kind} in ${WAIT_MS / 1000} s; not taken: ${came}; the stream is ${this.#end}`;
  }
}

export function hello(fields: HelloInput = {}): HelloInput {
  return {
    protocolVersion: 1,
    runId: 'test',
    outputs: [
      { output: 'OUTPUT_LOGITS', encoding: 'ENCODING_FP32' },
      { output: 'OUTPUT_EMBEDDING', encoding: 'ENCODING_FP16' },
      { output: 'OUTPUT_FEATURE_NORM', encoding: 'ENCODING_FP32' },
    ],
    creditBytes: 1_000_000_000,
    ...fields,
  };
}

/** A right image whose pixels all have the value `shade`. */
export function image(id: number, shade = 0, size: readonly [number, number] = [16, 24]) {
  const [height, width] = size;
  const rgb = Buffer.alloc(height * width * 3, shade);
  return { id, height, width, rgb, crc32c: crc32c(rgb) } satisfies ImageInput;
}
