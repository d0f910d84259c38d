/**
 * A teacher server on port 0 that keeps the contract until a script tells it not to. It is built on
 * protobufjs' own coders, so it doesn't share the client's. Answers are numbers made from the
 * image's first bytes: `expectedValues` says which.
 */
import { Server, ServerCredentials, type ServerDuplexStream, type status } from '@grpc/grpc-js';
import { TeacherService } from '../../../src/stream/codec/teacherService.js';
import type { DistillRequest } from '../../../src/stream/generated/cirkd/teacher/v1/DistillRequest.js';
import type { DistillResponseInput } from '../../../src/stream/generated/cirkd/teacher/v1/DistillResponse.js';
import type { Hello } from '../../../src/stream/generated/cirkd/teacher/v1/Hello.js';
import type { Image } from '../../../src/stream/generated/cirkd/teacher/v1/Image.js';
import type { ImageErrorInput } from '../../../src/stream/generated/cirkd/teacher/v1/ImageError.js';
import type { LimitsInput } from '../../../src/stream/generated/cirkd/teacher/v1/Limits.js';
import type { Output } from '../../../src/stream/generated/cirkd/teacher/v1/Output.js';
import type { TeacherInfoInput } from '../../../src/stream/generated/cirkd/teacher/v1/TeacherInfo.js';
import type { TensorChunkInput } from '../../../src/stream/generated/cirkd/teacher/v1/TensorChunk.js';
import { crc32c } from '../../../src/wire/crc32c.js';
import { encodeHalf } from '../../../src/wire/half.js';

export const DIGEST = `sha256:${'a'.repeat(64)}`;
export const STRIDE = 8;
export const CLASSES = 3;
export const CHANNELS = 4;

export type Chunk = Required<Omit<TensorChunkInput, 'data' | 'id' | 'crc32c'>> & {
  id: number;
  crc32c: number;
  data: Buffer;
};

export interface Script {
  readonly info?: TeacherInfoInput;
  readonly limits?: LimitsInput;
  readonly uploadCreditBytes?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly port?: number;
  /** Default: plaintext. */
  readonly credentials?: ServerCredentials;
  /** Which of the hello's outputs are granted and sent; default: all. */
  readonly grants?: (output: Output) => boolean;
  /** Instead of the welcome. */
  readonly onHello?: (stream: ScriptedStream, hello: Hello) => void;
  /** Instead of the answer. */
  readonly onImage?: (stream: ScriptedStream, image: Image) => void | Promise<void>;
}

/** Values of one output of an image, row-major, as the scripted teacher answers. */
export function expectedValues(rgb: Uint8Array, output: string, count: number): Float32Array {
  const seed = rgb[0]! + 256 * rgb[1]!;
  const step = output === 'OUTPUT_LOGITS' ? 1 : output === 'OUTPUT_EMBEDDING' ? 2 : 3;
  return Float32Array.from({ length: count }, (_, i) => ((seed + i) % 1024) * step);
}

export class ScriptedTeacher {
  readonly script: Script;
  readonly address: string;
  readonly streams: ScriptedStream[] = [];
  readonly images: Image[] = [];
  readonly #server: Server;

  private constructor(script: Script, server: Server, port: number) {
    this.script = script;
    this.#server = server;
    this.address = `${script.host ?? '127.0.0.1'}:${port}`;
  }

  static async start(script: Script = {}): Promise<ScriptedTeacher> {
    const server = new Server({ 'grpc.max_receive_message_length': -1 });
    const state: { teacher?: ScriptedTeacher } = {};
    server.addService(TeacherService.service, {
      Distill: (call: ServerDuplexStream<DistillRequest, DistillResponseInput>) => {
        state.teacher!.streams.push(new ScriptedStream(call, state.teacher!));
      },
      GetTeacher: () => {},
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(
        `${script.host ?? '127.0.0.1'}:${script.port ?? 0}`,
        script.credentials ?? ServerCredentials.createInsecure(),
        (error, bound) => (error ? reject(error) : resolve(bound)),
      );
    });
    state.teacher = new ScriptedTeacher(script, server, port);
    return state.teacher;
  }

  get port(): number {
    return Number(this.address.split(':')[1]);
  }

  /** Ends at once, as a killed process would. */
  stop(): void {
    this.#server.forceShutdown();
  }
}

export class ScriptedStream {
  hello: Hello | undefined;
  readonly cancelled: number[] = [];
  /** Tensor bytes granted and sent so far. */
  grantedBytes = 0;
  sentBytes = 0;
  /** The most that was ever granted and not yet sent. */
  worstOpenGrantBytes = 0;
  readonly #call: ServerDuplexStream<DistillRequest, DistillResponseInput>;
  readonly #teacher: ScriptedTeacher;
  #onGrant: (() => void)[] = [];
  #sending: Promise<void> = Promise.resolve();

  constructor(
    call: ServerDuplexStream<DistillRequest, DistillResponseInput>,
    teacher: ScriptedTeacher,
  ) {
    this.#call = call;
    this.#teacher = teacher;
    call.on('data', (request: DistillRequest) => this.#receive(request));
    call.on('end', () => void this.#sending.then(() => call.end()));
    call.on('error', () => {});
  }

  welcome(info: TeacherInfoInput = {}): void {
    const { script } = this.#teacher;
    this.write({
      welcome: {
        protocolVersion: 1,
        teacher: { ...DEFAULT_INFO, ...script.info, ...info },
        outputs: this.granted,
        limits: { maxImagePixels: 1_000_000, maxInflightImages: 4, ...script.limits },
        creditBytes: script.uploadCreditBytes ?? 1_000_000,
      },
    });
  }

  get granted(): Hello['outputs'] {
    const { grants = () => true } = this.#teacher.script;
    return this.hello!.outputs.filter(({ output }) => grants(output));
  }

  /** The right answer, in pieces of `rowsPerChunk`; `change` spoils a piece, null drops it. */
  answer(
    image: Image,
    change: (chunk: Chunk, index: number) => Chunk | null = (chunk) => chunk,
    rowsPerChunk = 1,
  ): Promise<void> {
    const { info } = this.#teacher.script;
    const granted = { outputs: this.granted };
    const changed = chunksOf(image, granted, rowsPerChunk, info?.classes).map(change);
    this.#sending = this.#sending.then(async () => {
      for (const chunk of changed) {
        if (chunk !== null) await this.#sendChunk(chunk);
      }
      this.write({ creditBytes: image.rgb.length });
    });
    return this.#sending;
  }

  error(image: Image, error: ImageErrorInput): void {
    this.write({ error: { id: image.id, attempt: image.attempt, ...error } });
    this.write({ creditBytes: image.rgb.length });
  }

  /** Sends what no credit allows. */
  sendBeyondCredit(chunk: Chunk): void {
    this.write({ tensor: chunk });
  }

  drain(graceMs: number): void {
    this.write({ draining: { graceMs } });
  }

  end(code: status, details: string): void {
    this.#call.emit('error', { code, details });
  }

  write(response: DistillResponseInput): void {
    if (!this.#call.cancelled) this.#call.write(response);
  }

  async #sendChunk(chunk: Chunk): Promise<void> {
    while (this.grantedBytes - this.sentBytes < chunk.data.length) {
      await new Promise<void>((resolve) => this.#onGrant.push(resolve));
    }
    this.sentBytes += chunk.data.length;
    this.write({ tensor: chunk });
  }

  #receive(request: DistillRequest): void {
    const { script, images } = this.#teacher;
    switch (request.message) {
      case 'hello':
        this.hello = request.hello!;
        this.#grant(request.hello!.creditBytes);
        if (script.onHello) script.onHello(this, request.hello!);
        else this.welcome();
        return;
      case 'image':
        images.push(request.image!);
        void (script.onImage ? script.onImage(this, request.image!) : this.answer(request.image!));
        return;
      case 'cancel':
        this.cancelled.push(request.cancel!.id);
        return;
      case 'creditBytes':
        this.#grant(request.creditBytes!);
        return;
    }
  }

  #grant(bytes: number): void {
    this.grantedBytes += bytes;
    this.worstOpenGrantBytes = Math.max(
      this.worstOpenGrantBytes,
      this.grantedBytes - this.sentBytes,
    );
    for (const wake of this.#onGrant.splice(0)) wake();
  }
}

const DEFAULT_INFO: TeacherInfoInput = {
  digest: DIGEST,
  model: 'scripted',
  classes: CLASSES,
  featureChannels: CHANNELS,
  outputStride: STRIDE,
  pixelMean: [123.5, 116, 103],
  pixelStd: [58, 57, 57],
  channelOrder: 'CHANNEL_ORDER_RGB',
  numericMode: 'fp32',
  encodings: ['ENCODING_FP32', 'ENCODING_FP16'],
};

/** All pieces of the right answer, output after output. */
export function chunksOf(
  image: Image,
  { outputs }: Pick<Hello, 'outputs'>,
  rowsPerChunk: number,
  classes = CLASSES,
): Chunk[] {
  const channelsOf: Readonly<Partial<Record<Output, readonly number[]>>> = {
    OUTPUT_LOGITS: [classes],
    OUTPUT_EMBEDDING: [CHANNELS],
    OUTPUT_FEATURE_NORM: [],
    OUTPUT_AUX_NORM: [],
  };
  const h = Math.ceil(image.height / STRIDE);
  const w = Math.ceil(image.width / STRIDE);
  return outputs.flatMap(({ output, encoding }) => {
    const shape = [h, w, ...channelsOf[output]!];
    const values = expectedValues(
      image.rgb,
      output,
      shape.reduce((a, b) => a * b),
    );
    const half = encoding === 'ENCODING_FP16';
    const bytes = Buffer.from(half ? encodeHalf(values).buffer : values.buffer);
    const rowBytes = bytes.length / h;
    return Array.from({ length: Math.ceil(h / rowsPerChunk) }, (_, i) => {
      const rowBegin = i * rowsPerChunk;
      const rowEnd = Math.min(h, rowBegin + rowsPerChunk);
      const data = bytes.subarray(rowBegin * rowBytes, rowEnd * rowBytes);
      return {
        id: image.id,
        attempt: image.attempt,
        output,
        dtype: half ? 'DTYPE_FP16' : 'DTYPE_FP32',
        shape,
        rowBegin,
        rowEnd,
        crc32c: crc32c(data),
        data,
      };
    });
  });
}
