/**
 * One connection to a server: unary calls, and ModelStreamInfer. It is over for good when the channel
 * leaves its connected state: grpc-js would connect anew by itself, and another process could answer
 * that nobody has asked what it serves.
 */
import {
  Client,
  connectivityState,
  Metadata,
  type ServiceError,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import { clientChannelOptions } from '../../rpc/clientChannel.js';
import type { Endpoint } from '../../rpc/target.js';
import type { ClientSettings } from '../../stream/client/options.js';
import { InferenceService } from '../codec/inferenceService.js';
import type { GRPCInferenceServiceDefinition } from '../generated/inference/GRPCInferenceService.js';
import type { ModelInferRequestInput } from '../generated/inference/ModelInferRequest.js';
import type { ModelStreamInferResponse } from '../generated/inference/ModelStreamInferResponse.js';
import { parseOipAddress } from './address.js';

/** Room for an answer's names and shapes. */
const MESSAGE_OVERHEAD_BYTES = 64 * 1024;

type Methods = Omit<GRPCInferenceServiceDefinition, 'ModelStreamInfer' | typeof Symbol.iterator>;

export type Method = keyof Methods & string;

export type RequestOf<M extends Method> = Methods[M] extends {
  requestSerialize: (request: infer Request) => Buffer;
}
  ? Request
  : never;

export type ResponseOf<M extends Method> = Methods[M] extends {
  responseDeserialize: (bytes: Buffer) => infer Response;
}
  ? Response
  : never;

/** How a call ended badly. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: status;
  readonly details: string;
  readonly method: string;

  constructor(method: string, code: status, details: string) {
    super(`${method}: ${status[code]}: ${details}`);
    this.method = method;
    this.code = code;
    this.details = details;
  }
}

/** One ModelStreamInfer call. */
export interface InferStream {
  write(request: ModelInferRequestInput): void;
  /** No request follows: the server ends the call when it has answered. */
  end(): void;
  /** No event comes after. */
  cancel(): void;
}

export interface InferStreamEvents {
  onResponse(response: ModelStreamInferResponse): void;
  /** The last event. */
  onEnd(code: status, details: string): void;
  /** The connection was closed or the stream cancelled; no event comes after. */
  onCancelled?(): void;
}

export class OipConnection {
  readonly #client: Client;
  readonly #metadata = new Metadata();
  readonly #calls = new Set<{ cancel(): void }>();
  readonly #onLost: (details: string) => void;
  #isOver = false;

  /** `onLost` is called at most once, after watch(), and not after close(). */
  constructor(
    endpoint: Endpoint,
    settings: ClientSettings,
    headers: Readonly<Record<string, string>>,
    onLost: (details: string) => void,
  ) {
    const { target } = parseOipAddress(endpoint.address);
    const channel = clientChannelOptions(endpoint, {
      // No answer that is asked for is larger than all answers together may be.
      maxReceiveBytes: settings.maxInflightBytes + MESSAGE_OVERHEAD_BYTES,
      serverName: settings.serverName,
      keepalive: false,
    });
    this.#client = new Client(target, settings.credentials(), channel);
    for (const [name, value] of Object.entries(headers)) this.#metadata.set(name, value);
    // Our own teachers' logs and turns go by the run; to others it says nothing.
    this.#metadata.set('cirkd-run', settings.runId);
    this.#onLost = onLost;
  }

  get isConnected(): boolean {
    if (this.#isOver) return false;
    return this.#client.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  /** Reports the loss of the connection from now on; call it while connected. */
  watch(): void {
    this.#client
      .getChannel()
      .watchConnectivityState(connectivityState.READY, Number.POSITIVE_INFINITY, () => {
        if (!this.#isOver) this.#onLost('the connection was lost');
      });
  }

  /** Rejects with CallError; never settles if the connection is closed first. */
  call<M extends Method>(
    method: M,
    request: RequestOf<M>,
    timeoutMs: number,
  ): Promise<ResponseOf<M>> {
    return new Promise((resolve, reject) => {
      this.start(method, request, timeoutMs, (error, response) => {
        if (error === null) resolve(response!);
        else reject(error);
      });
    });
  }

  /** Returns a function that cancels the call; the callback then doesn't come any more. */
  start<M extends Method>(
    method: M,
    request: RequestOf<M>,
    timeoutMs: number,
    callback: (error: CallError | null, response?: ResponseOf<M>) => void,
  ): () => void {
    const { path, requestSerialize, responseDeserialize } = InferenceService.service[
      method
    ] as unknown as MethodDefinition<RequestOf<M>, never, never, ResponseOf<M>>;
    let isCancelled = false;
    const call = this.#client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      this.#metadata,
      { deadline: Date.now() + timeoutMs },
      (error: ServiceError | null, response?: ResponseOf<M>) => {
        this.#calls.delete(entry);
        if (isCancelled || this.#isOver) return;
        if (error === null) callback(null, response);
        else callback(new CallError(method, error.code, error.details));
      },
    );
    const entry = {
      cancel: () => {
        isCancelled = true;
        this.#calls.delete(entry);
        call.cancel();
      },
    };
    this.#calls.add(entry);
    return entry.cancel;
  }

  stream(events: InferStreamEvents): InferStream {
    const { path, requestSerialize, responseDeserialize } =
      InferenceService.service.ModelStreamInfer;
    const call = this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      this.#metadata,
    );
    let isOver = false;
    const stream: InferStream = {
      write: (request) => {
        if (!isOver && call.writable) call.write(request);
      },
      end: () => call.end(),
      cancel: () => {
        if (isOver) return;
        isOver = true;
        this.#calls.delete(stream);
        call.cancel();
        events.onCancelled?.();
      },
    };
    this.#calls.add(stream);
    call.on('data', (response: ModelStreamInferResponse) => {
      if (!isOver) events.onResponse(response);
    });
    // A failed call emits 'error' and 'status'; the status is enough.
    call.on('error', () => {});
    // Messages that came before the status may still be in the stream's buffer.
    call.on('status', ({ code, details }: StatusObject) =>
      setImmediate(() => {
        this.#calls.delete(stream);
        if (isOver) return;
        isOver = true;
        events.onEnd(code, details);
      }),
    );
    return stream;
  }

  /** Cancels all calls; no callback comes after. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const call of [...this.#calls]) call.cancel();
    this.#client.close();
  }
}
