/**
 * One ModelStreamInfer stream: requests in, their answers out in the same order. A request that fails is
 * answered with its error, and the stream goes on.
 */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { toCallStatus, type UnexpectedErrorSink } from '../../rpc/errors.js';
import { readOneAhead, resetStream } from '../../rpc/grpcInternals.js';
import type { StreamPlace } from './inference.js';
import { stopping } from './modelErrors.js';
import type { Answering } from './modelServer.js';
import type { DecodedRequest, Incoming } from './requestDecoder.js';
import type { StreamAnswer } from './responseEncoder.js';

export type InferStreamCall = ServerDuplexStream<Incoming<DecodedRequest>, StreamAnswer>;

export interface InferStreamOptions {
  readonly modelName: string;
  readonly accept: (incoming: Incoming<DecodedRequest>, stream: StreamPlace) => Answering;
  readonly onUnexpected: UnexpectedErrorSink;
  /** Unanswered requests; the client's further messages aren't read meanwhile. */
  readonly maxUnanswered: number;
  /** A message that the connection hasn't taken after this time cuts the stream. */
  readonly writeTimeoutMs: number;
}

interface Line {
  /** undefined only while the request is being accepted. */
  answering: Answering | undefined;
  /** undefined: not known yet. */
  answer: StreamAnswer | undefined;
}

/** Bounds on what is handed to gRPC beyond what the connection has taken; one message always may be. */
const MAX_UNFLUSHED_BYTES = 4 * 1_048_576;
const MAX_UNFLUSHED_MESSAGES = 16;

export class InferStream {
  readonly #call: InferStreamCall;
  readonly #options: InferStreamOptions;
  readonly #ended: Promise<void>;
  #settle!: { resolve: () => void; reject: (error: unknown) => void };
  /** Requests in order of arrival. */
  readonly #line: Line[] = [];
  /** Bytes of each message that the connection hasn't taken. */
  readonly #unflushed: number[] = [];
  /** Requests whose answers the connection hasn't taken, in order of arrival. */
  readonly #unended = new Set<Line>();
  #stall: NodeJS.Timeout | undefined;
  #inputEnded = false;
  #draining = false;
  #closed = false;

  constructor(call: InferStreamCall, options: InferStreamOptions) {
    this.#call = call;
    this.#options = options;
    this.#ended = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  /** Serves the stream to its end. Rejects with the RpcError that it ends with. */
  run(): Promise<void> {
    const call = this.#call;
    readOneAhead(call);
    call.on('data', (incoming: Incoming<DecodedRequest>) => this.#receive(incoming));
    call.on('end', () => {
      this.#inputEnded = true;
      this.#endIfDone();
    });
    call.on('cancelled', () => this.#close());
    if (call.cancelled) this.#close();
    return this.#ended;
  }

  /** Answers what was accepted, then ends UNAVAILABLE. */
  drain(): void {
    this.#draining = true;
    this.#endIfDone();
  }

  /** Ends now. */
  stop(): void {
    this.#close(stopping());
  }

  #receive(incoming: Incoming<DecodedRequest>): void {
    if (this.#closed) return;
    const line: Line = { answering: undefined, answer: undefined };
    this.#line.push(line);
    this.#unended.add(line);
    const answering = this.#options.accept(incoming, {
      stream: this,
      isFirst: () => this.#isFirst(line),
    });
    line.answering = answering;
    answering.answer.then(
      (answer) => this.#answered(line, answer),
      (error: unknown) => this.#answered(line, this.#failed(answering, error)),
    );
    if (this.#line.length >= this.#options.maxUnanswered) this.#call.pause();
  }

  /** Answers go in order: until this one is taken, no other can be. */
  #isFirst(line: Line): boolean {
    const [first] = this.#unended;
    return first === line;
  }

  #failed({ id }: Answering, error: unknown): StreamAnswer {
    const { modelName, onUnexpected } = this.#options;
    return { modelName, id, errorMessage: toCallStatus(error, onUnexpected).details };
  }

  #answered(line: Line, answer: StreamAnswer): void {
    line.answer = answer;
    this.#send();
  }

  #send(): void {
    while (!this.#closed) {
      const [first] = this.#line;
      if (first?.answer === undefined || !this.#mayWrite()) break;
      this.#line.shift();
      this.#write(first, first.answer);
    }
    if (this.#closed) return;
    if (this.#line.length < this.#options.maxUnanswered) this.#call.resume();
    this.#endIfDone();
  }

  #mayWrite(): boolean {
    const bytes = this.#unflushed.reduce((sum, one) => sum + one, 0);
    return bytes < MAX_UNFLUSHED_BYTES && this.#unflushed.length < MAX_UNFLUSHED_MESSAGES;
  }

  #write(line: Line, answer: StreamAnswer): void {
    this.#unflushed.push(tensorBytes(answer));
    this.#watch();
    this.#call.write(answer, () => {
      this.#unflushed.shift();
      this.#end(line);
      this.#watch();
      this.#send();
    });
  }

  /** Restarts the limit for the connection to take the oldest message. */
  #watch(): void {
    clearTimeout(this.#stall);
    if (this.#closed || this.#unflushed.length === 0) return;
    this.#stall = setTimeout(() => {
      this.#close();
      resetStream(this.#call);
    }, this.#options.writeTimeoutMs);
  }

  #end(line: Line): void {
    if (this.#unended.delete(line)) line.answering?.end();
  }

  #endIfDone(): void {
    if (this.#closed || this.#unended.size > 0) return;
    if (this.#inputEnded) this.#close();
    else if (this.#draining) this.stop();
  }

  #close(error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#stall);
    for (const line of [...this.#unended]) this.#end(line);
    this.#line.length = 0;
    // Further messages of the client are read and dropped, so that the status can reach it.
    this.#call.resume();
    if (error === undefined) this.#settle.resolve();
    else this.#settle.reject(error);
  }
}

function tensorBytes(answer: StreamAnswer): number {
  if ('errorMessage' in answer) return answer.errorMessage.length;
  return answer.tensors.flatMap(({ parts }) => parts).reduce((sum, { length }) => sum + length, 0);
}
