/** A client of the Open Inference Protocol on grpc-js and protobufjs alone: it shares no encoder with the server. */
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import { InferenceService } from '../../../src/oip/codec/inferenceService.js';
import type { ModelInferRequestInput } from '../../../src/oip/generated/inference/ModelInferRequest.js';
import type { ModelInferResponse } from '../../../src/oip/generated/inference/ModelInferResponse.js';
import type { ModelStreamInferResponse } from '../../../src/oip/generated/inference/ModelStreamInferResponse.js';
import { eventually } from '../eventually.js';

type Method =
  | 'ServerLive'
  | 'ServerReady'
  | 'ServerMetadata'
  | 'ModelReady'
  | 'ModelMetadata'
  | 'ModelConfig'
  | 'ModelStatistics'
  | 'ModelInfer'
  | 'RepositoryIndex';

export interface CallChoices {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export class OipPeer {
  static readonly #open = new Set<OipPeer>();
  readonly #client: Client;

  /** For afterEach. */
  static closeAll(): void {
    for (const peer of OipPeer.#open) peer.close();
  }

  constructor(port: number, secured?: ChannelCredentials, channelOptions: object = {}) {
    OipPeer.#open.add(this);
    const host = secured === undefined ? '127.0.0.1' : 'localhost';
    this.#client = new Client(`${host}:${port}`, secured ?? credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.max_receive_message_length': -1,
      ...channelOptions,
    });
  }

  /** Resolves with the response, or with the error. */
  call<Response>(
    method: Method,
    request: object | Buffer,
    choices: CallChoices = {},
  ): Promise<Response | ServiceError> {
    const { path, requestSerialize, responseDeserialize } = InferenceService.service[method]!;
    const serialize = requestSerialize as (message: object) => Buffer;
    return new Promise((resolve) => {
      const call = this.#client.makeUnaryRequest(
        path,
        (message: object | Buffer) => (Buffer.isBuffer(message) ? message : serialize(message)),
        responseDeserialize as (bytes: Buffer) => Response,
        request,
        metadataOf(choices),
        choices.timeoutMs === undefined ? {} : { deadline: Date.now() + choices.timeoutMs },
        (error, response) => resolve(error ?? (response as Response)),
      );
      choices.signal?.addEventListener('abort', () => call.cancel());
    });
  }

  infer(
    request: ModelInferRequestInput | Buffer,
    choices: CallChoices = {},
  ): Promise<ModelInferResponse | ServiceError> {
    return this.call<ModelInferResponse>('ModelInfer', request, choices);
  }

  /** Throws the call's error. */
  async answer(request: ModelInferRequestInput): Promise<ModelInferResponse> {
    const response = await this.infer(request);
    if (response instanceof Error) throw response;
    return response;
  }

  stream(choices: CallChoices = {}): OipStream {
    const { path, requestSerialize, responseDeserialize } =
      InferenceService.service.ModelStreamInfer;
    return new OipStream(
      this.#client.makeBidiStreamRequest(
        path,
        (message) => (Buffer.isBuffer(message) ? message : requestSerialize(message)),
        responseDeserialize,
        metadataOf(choices),
      ),
    );
  }

  close(): void {
    OipPeer.#open.delete(this);
    this.#client.close();
  }
}

export class OipStream {
  readonly came: ModelStreamInferResponse[] = [];
  readonly status: Promise<StatusObject>;
  readonly #call: ClientDuplexStream<ModelInferRequestInput | Buffer, ModelStreamInferResponse>;

  constructor(call: ClientDuplexStream<ModelInferRequestInput | Buffer, ModelStreamInferResponse>) {
    this.#call = call;
    call.on('data', (message: ModelStreamInferResponse) => this.came.push(message));
    call.on('error', () => {});
    this.status = new Promise((resolve) => call.once('status', resolve));
  }

  send(request: ModelInferRequestInput | Buffer): void {
    this.#call.write(request);
  }

  /** Waits for `count` messages in all. */
  async take(count: number): Promise<ModelStreamInferResponse[]> {
    await eventually(() => this.came.length >= count);
    return this.came;
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
}

function metadataOf({ metadata = {} }: CallChoices): Metadata {
  const made = new Metadata();
  for (const [key, value] of Object.entries(metadata)) made.set(key, value);
  return made;
}

export interface RequestChoices {
  readonly id?: string;
  /** One image for each; all of its bytes have this value. */
  readonly shades?: readonly number[];
  readonly size?: readonly [height: number, width: number];
  readonly outputs?: readonly string[];
}

/** A right request. */
export function inferRequest({
  id = '',
  shades = [1],
  size: [height, width] = [16, 24],
  outputs = [],
}: RequestChoices = {}) {
  const pixels = Buffer.concat(shades.map((shade) => Buffer.alloc(height * width * 3, shade)));
  return {
    modelName: 'cirkd',
    id,
    inputs: [{ name: 'image', datatype: 'UINT8', shape: [shades.length, height, width, 3] }],
    outputs: outputs.map((name) => ({ name })),
    rawInputContents: [pixels],
  } satisfies ModelInferRequestInput;
}

/** The bytes of an output. */
export function rawOf(response: ModelInferResponse, name: string): Buffer {
  const index = response.outputs.findIndex((output) => output.name === name);
  return response.rawOutputContents[index] as Buffer;
}

/** The values of an FP32 output. */
export function floatsOf(response: ModelInferResponse, name: string): Float32Array {
  return new Float32Array(new Uint8Array(rawOf(response, name)).buffer);
}
