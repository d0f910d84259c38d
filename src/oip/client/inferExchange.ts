/** The images at one server: each is asked for, and then answered, refused, failed or dropped. */
import { status } from '@grpc/grpc-js';
import type { TeacherReply } from '../../contract/teacher.js';
import { printable } from '../../wire/printable.js';
import { type Attempt as AttemptOf, Attempts } from '../../stream/client/attempts.js';
import type { ImageEvents } from '../../stream/client/conversation.js';
import { statusName } from '../../stream/client/errors.js';
import type { ClientSettings } from '../../stream/client/options.js';
import type { ImageRequest } from '../../stream/client/request.js';
import type { ModelInferResponse } from '../generated/inference/ModelInferResponse.js';
import type { ModelStreamInferResponse } from '../generated/inference/ModelStreamInferResponse.js';
import type { OipAddress } from './address.js';
import { NonFiniteAnswerError } from './answerTensors.js';
import type { AnswerThread } from './answerThread.js';
import type { CallError, InferStream, OipConnection } from './connection.js';
import type { AgreedModel } from './greeting.js';
import { AnswerShapeError, answeredBytes, readAnswer } from './inferAnswer.js';
import { inferRequest } from './inferRequest.js';
import type { ModelOutput } from './modelOutputs.js';
import { askedOutputs } from './trial/trialOutputs.js';
import { PixelEncoder } from './pixels.js';

/** What is kept for an image that is under way. */
interface Part {
  /** Ends the image's own call; does nothing for a stream's. */
  cancel: () => void;
  /** The whole answer is there and being converted: no deadline ends it. */
  hasArrived: boolean;
}

type Attempt = AttemptOf<Part>;

export interface ExchangeEvents extends ImageEvents {
  /** The connection, or what was agreed over it, is over. */
  onOver(code: status, details: string): void;
}

/** An open connection with what was agreed. */
interface Open {
  readonly connection: OipConnection;
  readonly agreed: AgreedModel;
  readonly encoder: PixelEncoder;
  /** What each image is asked for. */
  readonly asked: readonly ModelOutput[];
  /** null: a call for each image. */
  readonly stream: InferStream | null;
}

/** Statuses by which a server refuses the image, not the moment. */
const REFUSALS = new Set([status.INVALID_ARGUMENT, status.OUT_OF_RANGE]);

/** Statuses after which the server has to be asked again what it serves, and whether it lets us. */
const ENDS = new Set([
  status.NOT_FOUND,
  status.UNIMPLEMENTED,
  status.FAILED_PRECONDITION,
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
]);

export class InferExchange {
  readonly #address: string;
  readonly #model: OipAddress;
  readonly #settings: ClientSettings;
  readonly #thread: AnswerThread;
  readonly #events: ExchangeEvents;
  readonly #attempts: Attempts<Part>;
  #open: Open | undefined;

  constructor(
    address: string,
    model: OipAddress,
    settings: ClientSettings,
    thread: AnswerThread,
    events: ExchangeEvents,
  ) {
    this.#address = address;
    this.#model = model;
    this.#settings = settings;
    this.#thread = thread;
    this.#events = events;
    this.#attempts = new Attempts(address, settings, events, {
      timedOut: (id) => this.#timedOut(id),
      cancel: ({ part }) => part.cancel(),
    });
  }

  /** Unanswered images. */
  get size(): number {
    return this.#attempts.size;
  }

  /** Sends images over `connection` from now on. */
  open(connection: OipConnection, agreed: AgreedModel): void {
    const stream = agreed.usesStream
      ? connection.stream({
          onResponse: (response) => this.#receive(response),
          onEnd: (code, details) => this.#events.onOver(code, details || 'the stream ended'),
        })
      : null;
    const asked = askedOutputs(agreed.outputs, this.#settings.outputs);
    this.#open = { connection, agreed, encoder: new PixelEncoder(agreed.input), stream, asked };
  }

  send(request: ImageRequest): void {
    const { connection, agreed, encoder, stream, asked } = this.#open!;
    const attempt = this.#attempts.open(request, { cancel: () => {}, hasArrived: false });
    const { height, width } = request.image;
    const message = inferRequest({
      model: this.#model,
      id: keyOf(attempt),
      input: agreed.input,
      outputs: asked.map(({ name }) => name),
      ...{ height, width, data: encoder.encode(request.image) },
    });
    if (stream !== null) stream.write(message);
    else {
      const { requestTimeoutMs } = this.#settings;
      attempt.part.cancel = connection.start(
        'ModelInfer',
        message,
        requestTimeoutMs,
        (error, response) => {
          if (error === null) this.#answered(attempt, response!);
          else this.#callFailed(attempt, error);
        },
      );
    }
    this.#attempts.sent(attempt);
  }

  /** Forgets an image; over a stream its answer may still arrive and is then ignored. */
  drop(request: ImageRequest): void {
    this.#attempts.drop(request);
  }

  dropAll(): void {
    this.#attempts.dropAll();
  }

  /** No image follows. */
  finish(): void {
    if (this.#open?.stream != null) this.#open.stream.end();
    else setImmediate(() => this.#events.onOver(status.OK, 'finished'));
  }

  /** Ends all attempts, as the connection is over; returns their images. */
  end(reason: string): ImageRequest[] {
    this.#open = undefined;
    return this.#attempts.end(reason);
  }

  #receive({ errorMessage, inferResponse }: ModelStreamInferResponse): void {
    const attempt = this.#attemptOf(inferResponse?.id ?? '');
    if (errorMessage === '') {
      if (attempt === undefined) this.#settings.onUnmatched?.(this.#address);
      else this.#answered(attempt, inferResponse!);
    } else if (attempt !== undefined) {
      // A stream's errors have no code.
      this.#reportedError(attempt, status.UNKNOWN, errorMessage);
    } else if (inferResponse?.id) {
      this.#settings.onUnmatched?.(this.#address);
    } else {
      this.#events.onOver(status.ABORTED, `an error without an id: ${printable(errorMessage)}`);
    }
  }

  #attemptOf(key: string): Attempt | undefined {
    const [, id, number] = KEY.exec(key) ?? [];
    const attempt = this.#attempts.get(Number(id), Number(number));
    return attempt?.part.hasArrived ? undefined : attempt;
  }

  #answered(attempt: Attempt, response: ModelInferResponse): void {
    const { agreed, asked } = this.#open!;
    const bytes = answeredBytes(response);
    this.#settings.onReceivedBytes?.(bytes);
    const other = otherModel(response, agreed);
    if (other !== undefined) {
      this.#events.onOver(status.FAILED_PRECONDITION, other);
      return;
    }
    try {
      // A unary answer is matched by its call. KServe's custom predictors give ids of their own; one in the form
      // of ours is another image's.
      if (response.id !== keyOf(attempt) && KEY.test(response.id)) {
        throw new AnswerShapeError(`id: ${printable(response.id)} given, wanted ${keyOf(attempt)}`);
      }
      const { outputStride } = agreed.outputs;
      const raw = readAnswer(response, asked, attempt.request.image, outputStride);
      attempt.part.hasArrived = true;
      this.#attempts.arrived(attempt, Math.min(bytes, attempt.missingBytes));
      void this.#convert(attempt, this.#thread.reply(raw, this.#settings.outputs));
    } catch (error) {
      if (!(error instanceof AnswerShapeError)) throw error;
      attempt.request.blame(status.DATA_LOSS);
      this.#attempts.failed(attempt.id, 'shape', error.message, false);
    }
  }

  async #convert(attempt: Attempt, converted: Promise<TeacherReply>): Promise<void> {
    const { id, number } = attempt;
    const isOpen = () => this.#attempts.get(id, number) === attempt;
    let reply: TeacherReply;
    try {
      reply = await converted;
    } catch (error) {
      const reason = error instanceof NonFiniteAnswerError ? 'nonfinite' : 'error';
      if (isOpen()) this.#attempts.failed(id, reason, (error as Error).message, true);
      return;
    }
    if (!isOpen()) return;
    this.#attempts.answered(attempt, reply);
  }

  #callFailed(attempt: Attempt, { code, details }: CallError): void {
    const { connection } = this.#open!;
    // A server's own statuses come over a connection that stays.
    if (!connection.isConnected || ENDS.has(code)) {
      this.#events.onOver(code, details);
    } else if (REFUSALS.has(code)) {
      this.#attempts.refused(attempt, code, `${statusName(code)}: ${printable(details)}`);
    } else if (code === status.DEADLINE_EXCEEDED) {
      this.#timedOut(attempt.id);
    } else {
      this.#reportedError(attempt, code, details);
    }
  }

  #reportedError({ id, request }: Attempt, code: status, details: string): void {
    request.blame(code);
    this.#attempts.failed(id, 'error', `${statusName(code)}: ${printable(details)}`, true);
  }

  #timedOut(id: number): void {
    const attempt = this.#attempts.find(id);
    if (attempt === undefined || attempt.part.hasArrived) return;
    attempt.part.cancel();
    const { requestTimeoutMs } = this.#settings;
    this.#attempts.failed(id, 'timeout', `no whole answer within ${requestTimeoutMs} ms`, false);
  }
}

/** How the model that answers differs from the one that was tried; undefined: it's the same. */
function otherModel(
  { modelName, modelVersion }: ModelInferResponse,
  { name, version }: AgreedModel,
): string | undefined {
  const differs = (field: string, given: string, wanted: string) =>
    `${field}: ${printable(given)} answers, agreed was ${printable(wanted)}`;
  if (modelName !== name) return differs('model_name', modelName, name);
  return modelVersion === version ? undefined : differs('model_version', modelVersion, version);
}

const KEY = /^(\d{1,15})\.(\d{1,9})$/;

/** The id on the wire: the request's, and which attempt it is. */
function keyOf({ id, number }: Attempt): string {
  return `${id}.${number}`;
}
