/**
 * `inference.GRPCInferenceService` of a teacher, for clients of the Open Inference Protocol and of
 * Triton: one model with one version, which shares network, queue and limits with the Distill streams.
 * Sources: the Open Inference Protocol (github.com/kserve/open-inference-protocol), and for what that
 * leaves open Triton's behaviour (modelErrors.ts).
 */
import type { ServerUnaryCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import { cutUnlessEnded, onCallEnd } from '../../rpc/callEnd.js';
import { GrpcStatus, grpcCodeName, RpcError, type UnexpectedErrorSink } from '../../rpc/errors.js';
import { duplexHandler, unaryHandler } from '../../rpc/handlers.js';
import type { HostedService } from '../../stream/server/hostedService.js';
import type { Serving } from '../../stream/server/imageRequests.js';
import type { BatchReport } from '../../stream/server/serving.js';
import {
  INFERENCE_SERVICE_NAME,
  InferenceService,
  inferencePackageDefinition,
} from '../codec/inferenceService.js';
import type { ModelConfigResponseInput } from '../generated/inference/ModelConfigResponse.js';
import type { ModelMetadataResponseInput } from '../generated/inference/ModelMetadataResponse.js';
import type { ModelStatisticsResponseInput } from '../generated/inference/ModelStatisticsResponse.js';
import type { RepositoryIndexRequest } from '../generated/inference/RepositoryIndexRequest.js';
import type { RepositoryIndexResponseInput } from '../generated/inference/RepositoryIndexResponse.js';
import type { ServerMetadataResponseInput } from '../generated/inference/ServerMetadataResponse.js';
import { CallGate } from './callGate.js';
import { type Client, Clients } from './clients.js';
import { InferStream, type InferStreamCall } from './inferStream.js';
import { modelConfig, modelMetadata, PLATFORM } from './modelDescription.js';
import {
  checkModel,
  checkStatistics,
  invalidArgument,
  isModel,
  MODEL_VERSION,
} from './modelErrors.js';
import { type InferMethod, type ModelOptions, ModelServer } from './modelServer.js';
import type { DecodedRequest, Incoming } from './requestDecoder.js';
import { type InferAnswer, inferenceServerDefinition } from './responseEncoder.js';

export interface InferenceServiceOptions extends ModelOptions {
  /** The version that the server states; the package's. */
  readonly serverVersion: string;
  /** A request has ended, by method and gRPC status code name. A stream's requests count one by one. */
  readonly onRequest: (method: string, code: string, seconds: number) => void;
  readonly onUnexpected: UnexpectedErrorSink;
}

/** Those of Triton's extensions that exist here in full. */
const EXTENSIONS = ['model_configuration', 'statistics'];

type UnaryCall<Request> = ServerUnaryCall<Incoming<Request>, unknown>;

interface Named {
  readonly name: string;
  readonly version: string;
}

export class TeacherInferenceService implements HostedService {
  readonly name = INFERENCE_SERVICE_NAME;
  readonly packageDefinition = inferencePackageDefinition;
  readonly definition = inferenceServerDefinition();
  readonly handlers: UntypedServiceImplementation;
  readonly interceptors;
  readonly #options: InferenceServiceOptions;
  readonly #model: ModelServer;
  readonly #gate: CallGate;
  readonly #streams = new Set<InferStream>();
  #openStreams = 0;
  #clients: Clients | undefined;
  #onLastStreamEnd: (() => void) | undefined;

  constructor(options: InferenceServiceOptions) {
    this.#options = options;
    this.#model = new ModelServer(options);
    const { limits, onRequest } = options;
    this.#gate = new CallGate({
      maxCalls: limits.maxQueueImages,
      maxConnectionCalls: limits.maxInflightImages,
      timeoutMs: limits.requestTimeoutMs,
      onUnread: (code, seconds) => onRequest('ModelInfer', grpcCodeName(code), seconds),
    });
    this.interceptors = [this.#gate.interceptor(InferenceService.service.ModelInfer.path)];
    this.handlers = this.#handlers();
  }

  serve(serving: Serving): void {
    this.#clients = new Clients(serving.answers);
    this.#model.serve(serving);
  }

  onBatch(report: BatchReport): void {
    this.#model.onBatch(report);
  }

  async drain(): Promise<void> {
    this.#gate.close();
    const answered = this.#model.drain();
    const ended = new Promise<void>((resolve) => {
      this.#onLastStreamEnd = resolve;
      if (this.#streams.size === 0) resolve();
    });
    for (const stream of this.#streams) stream.drain();
    await Promise.all([answered, ended]);
  }

  stop(): void {
    for (const stream of this.#streams) stream.stop();
  }

  #handlers(): UntypedServiceImplementation {
    const { onUnexpected, limits } = this.#options;
    return {
      ServerLive: this.#unary('ServerLive', () => ({ live: true })),
      ServerReady: this.#unary('ServerReady', () => ({ ready: this.#model.isReady })),
      ServerMetadata: this.#unary('ServerMetadata', () => this.#serverMetadata()),
      ModelReady: this.#unary<Named>('ModelReady', (request) => this.#modelReady(request)),
      ModelMetadata: this.#unary<Named>('ModelMetadata', (request) => this.#metadata(request)),
      ModelConfig: this.#unary<Named>('ModelConfig', (request) => this.#config(request)),
      ModelStatistics: this.#unary<Named>('ModelStatistics', (request) =>
        this.#statistics(request),
      ),
      RepositoryIndex: this.#unary<RepositoryIndexRequest>('RepositoryIndex', (request) =>
        this.#repositoryIndex(request),
      ),
      ModelInfer: unaryHandler<Incoming<DecodedRequest>, InferAnswer>(
        (incoming, call) => this.#infer(incoming, call),
        onUnexpected,
      ),
      ModelStreamInfer: duplexHandler(
        (call: InferStreamCall) => this.#streamInfer(call),
        onUnexpected,
        limits.closeGraceMs,
      ),
    };
  }

  /** A call that is answered at once, and counted. */
  #unary<Request>(method: string, answer: (request: Request) => unknown) {
    const { onRequest, onUnexpected } = this.#options;
    return unaryHandler<Incoming<Request & object>, unknown>(async (incoming) => {
      const startedAtMs = performance.now();
      const seconds = () => (performance.now() - startedAtMs) / 1000;
      try {
        if ('malformed' in incoming) {
          throw invalidArgument(`message: not a ${method}Request (${incoming.malformed})`);
        }
        const response = answer(incoming);
        onRequest(method, 'OK', seconds());
        return response;
      } catch (error) {
        onRequest(method, codeNameOf(error), seconds());
        throw error;
      }
    }, onUnexpected);
  }

  async #infer(
    incoming: Incoming<DecodedRequest>,
    call: UnaryCall<DecodedRequest>,
  ): Promise<InferAnswer> {
    const client = this.#acquireOrCount(call);
    const method = this.#method('ModelInfer');
    const { answer, end } = this.#model.accept(incoming, client, deadlineOf(call), method);
    onCallEnd(call, () => {
      end();
      this.#clients?.release(client);
    });
    try {
      return await answer;
    } finally {
      // A client that doesn't read the answer must not hold its memory for ever.
      cutUnlessEnded(call, this.#options.limits.requestTimeoutMs);
    }
  }

  async #streamInfer(call: InferStreamCall): Promise<void> {
    const { modelName, limits, onUnexpected } = this.#options;
    const { hooks } = this.#model.requireModel().serving;
    const peer = call.getPeer();
    if (this.#openStreams >= limits.maxStreams) {
      const code = 'RESOURCE_EXHAUSTED';
      hooks.onEvent('warn', 'stream refused', { peer, code, maxStreams: limits.maxStreams });
      throw new RpcError(
        GrpcStatus.RESOURCE_EXHAUSTED,
        `${limits.maxStreams} streams are open, this server takes no more`,
      );
    }
    const client = this.#acquire(call);
    const method = this.#method('ModelStreamInfer');
    const stream = new InferStream(call, {
      ...{ modelName, onUnexpected },
      accept: (incoming, place) =>
        this.#model.accept(incoming, client, deadlineOf(call), method, place),
      maxUnanswered: limits.maxInflightImages,
      writeTimeoutMs: limits.requestTimeoutMs,
    });
    this.#streams.add(stream);
    this.#openStreams += 1;
    onCallEnd(call, () => {
      this.#openStreams -= 1;
      this.#clients?.release(client);
    });
    hooks.onEvent('info', 'inference stream opened', { run: client.run, peer });
    try {
      if (this.#model.isDraining) stream.drain();
      await stream.run();
    } finally {
      hooks.onEvent('info', 'inference stream closed', { run: client.run, peer });
      this.#streams.delete(stream);
      if (this.#streams.size === 0) this.#onLastStreamEnd?.();
    }
  }

  #acquire(call: Parameters<Clients['acquire']>[0]): Client {
    this.#model.requireModel();
    return this.#clients!.acquire(call);
  }

  /** For a call that is one request. */
  #acquireOrCount(call: Parameters<Clients['acquire']>[0]): Client {
    try {
      return this.#acquire(call);
    } catch (error) {
      this.#options.onRequest('ModelInfer', codeNameOf(error), 0);
      throw error;
    }
  }

  #method(method: InferMethod['method']): InferMethod {
    return { method, onRequest: this.#options.onRequest };
  }

  #serverMetadata(): ServerMetadataResponseInput {
    return { name: PLATFORM, version: this.#options.serverVersion, extensions: [...EXTENSIONS] };
  }

  #modelReady({ name, version }: Named): { ready: boolean } {
    return { ready: isModel(this.#options.modelName, name, version) && this.#model.isReady };
  }

  #metadata({ name, version }: Named): ModelMetadataResponseInput {
    checkModel(this.#options.modelName, name, version);
    const { model } = this.#model.requireModel();
    return modelMetadata(model.name, model.outputs);
  }

  #config({ name, version }: Named): ModelConfigResponseInput {
    const { modelName, limits, batch } = this.#options;
    checkModel(modelName, name, version);
    const { model, serving } = this.#model.requireModel();
    const { info } = serving.engine;
    return {
      config: modelConfig(modelName, model.outputs, info, limits.maxInflightImages, batch),
    };
  }

  #statistics({ name, version }: Named): ModelStatisticsResponseInput {
    const { modelName } = this.#options;
    if (name !== '') checkStatistics(modelName, name, version);
    this.#model.requireModel();
    return { modelStats: [this.#model.statistics.message(modelName)] };
  }

  #repositoryIndex({ ready }: RepositoryIndexRequest): RepositoryIndexResponseInput {
    const { isReady, isDraining } = this.#model;
    if (ready && !isReady) return { models: [] };
    const unready = isDraining ? 'UNLOADING' : 'LOADING';
    const state = isReady ? 'READY' : unready;
    const model = { name: this.#options.modelName, version: MODEL_VERSION, state, reason: '' };
    return { models: [model] };
  }
}

function codeNameOf(error: unknown): string {
  return grpcCodeName(error instanceof RpcError ? error.code : GrpcStatus.INTERNAL);
}

/** Milliseconds since 1970; Infinity: none. */
function deadlineOf(call: { getDeadline(): Date | number }): number {
  return Number(call.getDeadline());
}
