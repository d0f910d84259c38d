/**
 * A server of the Open Inference Protocol on port 0, built on protobufjs' own coders, with faults on
 * purpose. What it computes of an image is the script's.
 */
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { InferenceService } from '../../../src/oip/codec/inferenceService.js';
import type { ModelConfigInput } from '../../../src/oip/generated/inference/ModelConfig.js';
import type { ModelInferRequest } from '../../../src/oip/generated/inference/ModelInferRequest.js';
import type { ModelInferResponseInput } from '../../../src/oip/generated/inference/ModelInferResponse.js';
import type { ModelMetadataResponseInput } from '../../../src/oip/generated/inference/ModelMetadataResponse.js';
import type { ModelStreamInferResponseInput } from '../../../src/oip/generated/inference/ModelStreamInferResponse.js';

export interface ServedModel {
  readonly metadata: Required<ModelMetadataResponseInput>;
  /** null: no ModelConfig, no ModelStreamInfer, as on servers other than Triton. */
  readonly config: ModelConfigInput | null;
  /** Throws Refusal. */
  answer(request: ModelInferRequest): ModelInferResponseInput | Promise<ModelInferResponseInput>;
}

/** A status in place of an answer. */
export class Refusal extends Error {
  readonly code: status;

  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

/** What a fault may do with one image. */
export interface Asked {
  readonly request: ModelInferRequest;
  /** The number of the image, from 1; trials don't count. */
  readonly number: number;
  readonly answer: () => Promise<ModelInferResponseInput>;
  /** Over a stream only. */
  readonly write?: (response: ModelStreamInferResponseInput) => void;
  /** Ends the stream with a status. */
  readonly end?: (code: status, details: string) => void;
}

/** undefined: no answer from here; the fault wrote itself, or nothing is to come. */
export type Fault = (asked: Asked) => Promise<ModelInferResponseInput | undefined>;

export interface OipScript {
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly port?: number;
  readonly credentials?: ServerCredentials;
  readonly isServerReady?: () => boolean;
  readonly isModelReady?: () => boolean;
  /** In place of the answer, for each image but trials. */
  readonly onImage?: Fault;
  /** What goes on the wire in place of a message of any method, trials included. */
  readonly onBytes?: (method: string, bytes: Buffer) => Buffer;
  /** Sees every call's metadata. */
  readonly onMetadata?: (metadata: Readonly<Record<string, unknown>>) => void;
}

type Unary<Request, Response> = (
  call: ServerUnaryCall<Request, Response>,
  done: sendUnaryData<Response>,
) => void;

export class ScriptedOipServer {
  readonly port: number;
  readonly model: ServedModel;
  /** Ids of all requests for images, trials included, in order of arrival. */
  readonly asked: string[] = [];
  /** Images under way now, and the most that ever were. */
  underWay = 0;
  mostUnderWay = 0;
  readonly #server: Server;
  readonly #script: OipScript;

  static async start(model: ServedModel, script: OipScript = {}): Promise<ScriptedOipServer> {
    const server = new Server({ 'grpc.max_receive_message_length': -1 });
    const state: { running?: ScriptedOipServer } = {};
    server.addService(
      serviceOf(script),
      handlers(() => state.running!),
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(
        `${script.host ?? '127.0.0.1'}:${script.port ?? 0}`,
        script.credentials ?? ServerCredentials.createInsecure(),
        (error, bound) => (error ? reject(error) : resolve(bound)),
      );
    });
    state.running = new ScriptedOipServer(server, port, model, script);
    return state.running;
  }

  private constructor(server: Server, port: number, model: ServedModel, script: OipScript) {
    this.#server = server;
    this.port = port;
    this.model = model;
    this.#script = script;
  }

  get address(): string {
    const { host = '127.0.0.1' } = this.#script;
    return `oip://${host}:${this.port}/${this.model.metadata.name}`;
  }

  /** Ends at once, as a killed process would. */
  stop(): void {
    this.#server.forceShutdown();
  }

  get isReady(): boolean {
    return this.#script.isServerReady?.() ?? true;
  }

  /** Throws Refusal for another model. */
  isModelReady(name: string): boolean {
    const isReady = this.#script.isModelReady?.() ?? true;
    this.check(name);
    return isReady;
  }

  check(name: string): void {
    if (name === this.model.metadata.name) return;
    throw new Refusal(status.NOT_FOUND, `Request for unknown model: '${name}' is not found`);
  }

  see(metadata: Readonly<Record<string, unknown>>): void {
    this.#script.onMetadata?.(metadata);
  }

  /** The answer to one request, after the script's fault. */
  async infer(
    request: ModelInferRequest,
    over: Pick<Asked, 'write' | 'end'> = {},
  ): Promise<ModelInferResponseInput | undefined> {
    this.check(request.modelName);
    this.asked.push(request.id);
    const number = this.asked.filter((id) => id !== 'trial').length;
    this.underWay++;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    try {
      const answer = async () => ({
        modelName: request.modelName,
        modelVersion: this.model.metadata.versions[0]!,
        id: request.id,
        ...(await this.model.answer(request)),
      });
      const { onImage } = this.#script;
      if (onImage === undefined || request.id === 'trial') return await answer();
      return await onImage({ request, number, answer, ...over });
    } finally {
      this.underWay--;
    }
  }
}

/** The service, with messages that the script may change. */
function serviceOf({ onBytes }: OipScript): typeof InferenceService.service {
  const { service } = InferenceService;
  if (onBytes === undefined) return service;
  const changed = Object.entries(service).map(([method, definition]) => {
    const serialize = definition.responseSerialize as (message: object) => Buffer;
    const responseSerialize = (message: object) => onBytes(method, serialize(message));
    return [method, { ...definition, responseSerialize }];
  });
  return Object.fromEntries(changed);
}

function handlers(of: () => ScriptedOipServer) {
  const unary =
    <Request, Response>(
      respond: (server: ScriptedOipServer, request: Request) => Response | Promise<Response>,
    ): Unary<Request, Response> =>
    (call, done) => {
      of().see(call.metadata.getMap());
      Promise.resolve()
        .then(() => respond(of(), call.request))
        .then(
          (response) => done(null, response),
          (error) => done({ code: codeOf(error), details: (error as Error).message }),
        );
    };
  const lacking = () => new Refusal(status.UNIMPLEMENTED, 'not here');
  return {
    ServerLive: unary(() => ({ live: true })),
    ServerReady: unary((server) => ({ ready: server.isReady })),
    ServerMetadata: unary(({ model: { config } }) => ({
      name: 'scripted',
      version: '1',
      extensions: config === null ? [] : ['model_configuration'],
    })),
    ModelReady: unary((server, { name }: { name: string }) => ({
      ready: server.isModelReady(name),
    })),
    ModelMetadata: unary((server, { name }: { name: string }) => {
      server.check(name);
      return server.model.metadata;
    }),
    ModelConfig: unary(({ model: { config } }) => {
      if (config === null) throw lacking();
      return { config };
    }),
    ModelStatistics: unary(() => {
      throw lacking();
    }),
    RepositoryIndex: unary(() => {
      throw lacking();
    }),
    ModelInfer: unary((server, request: ModelInferRequest) => inferOverCall(server, request)),
    ModelStreamInfer: (
      call: ServerDuplexStream<ModelInferRequest, ModelStreamInferResponseInput>,
    ) => inferOverStream(of(), call),
  };
}

/** Never settles where no answer is to come. */
async function inferOverCall(
  server: ScriptedOipServer,
  request: ModelInferRequest,
): Promise<ModelInferResponseInput> {
  const response = await server.infer(request);
  return response ?? new Promise<never>(() => {});
}

function inferOverStream(
  server: ScriptedOipServer,
  call: ServerDuplexStream<ModelInferRequest, ModelStreamInferResponseInput>,
): void {
  const end = (code: status, details: string) => {
    call.emit('error', { code, details });
  };
  call.on('error', () => {});
  if (server.model.config === null) {
    end(status.UNIMPLEMENTED, 'no streams here');
    return;
  }
  server.see(call.metadata.getMap());
  let open = 0;
  let isHalfClosed = false;
  const endIfDone = () => {
    if (isHalfClosed && open === 0) call.end();
  };
  const write = (response: ModelStreamInferResponseInput) => {
    if (!call.cancelled) call.write(response);
  };
  call.on('data', async (request: ModelInferRequest) => {
    open++;
    try {
      const inferResponse = await server.infer(request, { write, end });
      if (inferResponse !== undefined) write({ inferResponse });
    } catch (error) {
      write({ errorMessage: (error as Error).message, inferResponse: { id: request.id } });
    }
    open--;
    endIfDone();
  });
  call.on('end', () => {
    isHalfClosed = true;
    endIfDone();
  });
}

function codeOf(error: unknown): status {
  return error instanceof Refusal ? error.code : status.INTERNAL;
}
