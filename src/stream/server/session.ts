/**
 * One Distill stream: awaiting hello → open → (draining) → ended. Images are in imageRequests.ts,
 * tensors on their way out in chunkSender.ts.
 */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { EncodedTensor } from '../../contract/encodedTensor.js';
import { grpcCodeName, GrpcStatus, invalidArgument, RpcError } from '../../rpc/errors.js';
import { PROTOCOL_VERSION } from '../codec/teacherService.js';
import { ENCODING, OUTPUT } from '../codec/wireNames.js';
import type { DistillRequest } from '../generated/cirkd/teacher/v1/DistillRequest.js';
import type { DistillResponseInput } from '../generated/cirkd/teacher/v1/DistillResponse.js';
import { ChunkSender, type WriteChunk } from './chunkSender.js';
import {
  type Agreement,
  checkByteCount,
  checkClassifierRow,
  checkHello,
  teacherInfoToWire,
} from './hello.js';
import type { ImageFault } from './imageCheck.js';
import { ImageRequests, type Serving } from './imageRequests.js';
import type { IncomingRequest } from './messages.js';
import { limitsToWire } from './serving.js';

export type DistillCall = ServerDuplexStream<IncomingRequest, DistillResponseInput>;

/** The state of a stream once hello and welcome are exchanged. */
interface OpenStream {
  readonly agreement: Agreement;
  readonly sender: ChunkSender;
  readonly images: ImageRequests;
}

/** Back-pressure: with more unsent messages than this, the client's messages aren't read. */
const MAX_UNSENT_MESSAGES = 256;

export class ServerSession {
  readonly #call: DistillCall;
  /** Stored at the start, as a closed connection has no address any more. */
  readonly #peer: string;
  readonly #serving: Serving;
  readonly #helloTimer: NodeJS.Timeout;
  readonly #ended: Promise<void>;
  #settle: (error: unknown) => void = () => {};
  #open: OpenStream | undefined;
  #inputEnded = false;
  #draining = false;
  #closed = false;

  constructor(call: DistillCall, serving: Serving) {
    this.#call = call;
    this.#peer = call.getPeer();
    this.#serving = serving;
    this.#ended = new Promise((resolve, reject) => {
      this.#settle = (error) => (error === undefined ? resolve() : reject(error));
    });
    const { helloTimeoutMs } = serving.limits;
    this.#helloTimer = setTimeout(() => {
      this.#fail(GrpcStatus.DEADLINE_EXCEEDED, `no hello within ${helloTimeoutMs} ms`);
    }, helloTimeoutMs);
  }

  /**
   * Serves the stream to its end. Resolves when the client has left, or has half-closed and got all its
   * answers; rejects with the RpcError that the stream ends with.
   */
  run(): Promise<void> {
    const call = this.#call;
    call.on('data', (request: IncomingRequest) => this.#receive(request));
    call.on('end', () => this.#onInputEnd());
    call.on('cancelled', () => this.#close());
    call.on('drain', () => call.resume());
    if (call.cancelled) this.#close();
    return this.#ended;
  }

  /** Takes no new images; ends the stream UNAVAILABLE when the accepted ones are answered. */
  drain(graceMs: number): void {
    if (this.#closed || this.#draining) return;
    this.#draining = true;
    if (this.#open) this.#write({ draining: { graceMs } });
    this.#endIfDone();
  }

  /** Ends the stream now, answered or not. */
  stop(): void {
    this.#fail(GrpcStatus.UNAVAILABLE, 'the server is shutting down');
  }

  #receive(request: IncomingRequest): void {
    if (this.#closed) return;
    try {
      if ('malformed' in request) {
        throw invalidArgument(`message: not a DistillRequest (${request.malformed})`);
      }
      if (this.#open) this.#handle(this.#open, request);
      else this.#open = this.#greet(request);
    } catch (error) {
      this.#close(error);
      return;
    }
    if (this.#call.writableLength > MAX_UNSENT_MESSAGES) this.#call.pause();
  }

  #greet(request: DistillRequest): OpenStream {
    if (request.message !== 'hello' || !request.hello) {
      throw invalidArgument(`first message: ${request.message ?? 'unknown'} given, wanted hello`);
    }
    const { engine, encodings, limits, hooks, cachesAnswers } = this.#serving;
    const agreement = checkHello(request.hello, engine, encodings);
    const maxChunkBytes = Math.min(limits.chunkBytes, agreement.maxChunkBytes);
    const isWanted = agreement.outputs.some(({ output }) => output === 'classifier');
    const classifier = isWanted ? engine.classifier : null;
    if (classifier !== null) checkClassifierRow(engine.info, maxChunkBytes);
    clearTimeout(this.#helloTimer);
    this.#write({
      welcome: {
        protocolVersion: PROTOCOL_VERSION,
        teacher: teacherInfoToWire(engine.info, encodings),
        outputs: agreement.outputs.map(({ output, encoding }) => ({
          output: OUTPUT.toWire[output],
          encoding: ENCODING.toWire[encoding],
        })),
        limits: limitsToWire(limits),
        creditBytes: limits.uploadCreditBytes,
        cachesAnswers,
      },
    });
    hooks.onEvent('info', 'stream opened', { run: agreement.runId, peer: this.#peer });
    const open = this.#openStream(agreement, maxChunkBytes);
    if (classifier !== null) sendClassifier(open.sender, classifier);
    return open;
  }

  #openStream(agreement: Agreement, maxChunkBytes: number): OpenStream {
    const { hooks, tapChunks } = this.#serving;
    const write: WriteChunk = (tensor, flushed) => this.#call.write({ tensor }, flushed);
    const sender = new ChunkSender(
      tapChunks?.(write) ?? write,
      maxChunkBytes,
      agreement.creditBytes,
      hooks,
    );
    const images = new ImageRequests(this.#serving, agreement, maxChunkBytes, sender, {
      fail: (image, fault) => this.#writeError(image, fault),
      returnUploadCredit: (creditBytes) => this.#write({ creditBytes }),
      onIdle: () => this.#endIfDone(),
    });
    return { agreement, sender, images };
  }

  #handle({ sender, images }: OpenStream, request: DistillRequest): void {
    switch (request.message) {
      case 'image':
        if (request.image) images.accept(request.image, this.#draining);
        return;
      case 'cancel':
        if (request.cancel) images.cancel(request.cancel.id);
        return;
      case 'creditBytes': {
        const bytes = checkByteCount('credit_bytes', request.creditBytes ?? 0);
        checkByteCount('credit_bytes in total', sender.creditBytes + bytes);
        sender.grant(bytes);
        return;
      }
      case 'hello':
        throw invalidArgument('hello: given twice, wanted once');
      default:
        // A member of a later version: ignored, as the contract says.
        return;
    }
  }

  #onInputEnd(): void {
    this.#inputEnded = true;
    if (!this.#open) this.#fail(GrpcStatus.INVALID_ARGUMENT, 'first message: none, wanted hello');
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#closed || this.#open?.images.idle === false) return;
    if (this.#inputEnded) this.#close();
    else if (this.#draining) this.stop();
  }

  #writeError({ id, attempt }: { id: number; attempt: number }, fault: ImageFault): void {
    const { code, message, retryable, reason } = fault;
    this.#write({ error: { id, attempt, code, message, retryable, reason } });
  }

  #write(message: DistillResponseInput): void {
    if (!this.#closed) this.#call.write(message);
  }

  #fail(code: RpcError['code'], message: string): void {
    this.#close(new RpcError(code, message));
  }

  #close(error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#helloTimer);
    this.#open?.images.close();
    this.#open?.sender.close();
    this.#logEnd(error);
    // Further messages of the client are read and dropped, so that the status can reach it.
    this.#call.resume();
    this.#settle(error);
  }

  /** Warns of a stream that the client broke; errors from bugs are logged by toCallStatus. */
  #logEnd(error: unknown): void {
    const { hooks } = this.#serving;
    const fields = { run: this.#open?.agreement.runId, peer: this.#peer };
    const reason = error instanceof Error ? error.message : 'the client left or finished';
    if (error instanceof RpcError && error.code !== GrpcStatus.UNAVAILABLE) {
      const code = grpcCodeName(error.code);
      hooks.onEvent('warn', 'stream refused', { ...fields, code, reason });
    } else {
      hooks.onEvent('info', 'stream closed', { ...fields, reason });
    }
  }
}

/** Sends the classifier first, without waiting: a client that leaves early doesn't need it. */
function sendClassifier(sender: ChunkSender, tensor: EncodedTensor): void {
  const outputs = [{ output: 'classifier', tensor }] as const;
  sender.send({ id: null, attempt: 0, outputs, onSent() {}, onFlushed() {} });
}
