/** Speaks the Open Inference Protocol to one model on one server: a connection at a time. */
import { status } from '@grpc/grpc-js';
import { type NeededOutput, OUTPUTS } from '../../contract/outputs.js';
import { ContractMismatchError } from '../../contract/teacher.js';
import type { Endpoint } from '../../rpc/target.js';
import type { Admission } from '../../stream/client/contract.js';
import type {
  Conversation,
  ConversationEvents,
  TeacherProtocol,
} from '../../stream/client/conversation.js';
import type { ClientSettings } from '../../stream/client/options.js';
import type { ImageRequest } from '../../stream/client/request.js';
import { type OipAddress, oipEntry, parseOipAddress } from './address.js';
import { AnswerThread } from './answerThread.js';
import { CallError, OipConnection } from './connection.js';
import { greet } from './greeting.js';
import { InferExchange } from './inferExchange.js';
import { MissingSettingsError } from './misfit.js';
import type { ModelInput } from './modelInput.js';
import { IncompleteTrials } from './trial/trialAnswer.js';
import { askedOutputs, travellingOutputs } from './trial/trialOutputs.js';
import type { OipSettings } from './settings.js';

/** A live server answers each of the first questions within this time. */
const QUESTION_TIMEOUT_MS = 10_000;

/** ServerReady, ModelReady, ModelMetadata, ServerMetadata, ModelConfig. */
const QUESTIONS = 5;

export interface OipOptions {
  readonly settings: OipSettings;
  /** Size of the image that a model of any size is tried with. */
  readonly trialSize: { readonly height: number; readonly width: number };
  /** Whether all images have that size: then a model of another size is refused. Default: no. */
  readonly isOnlySize?: boolean;
}

/** Models on other programs' servers, for connectTeachers. Close it after the last use. */
export class OipProtocol implements TeacherProtocol {
  readonly #options: OipOptions;
  readonly #thread = new AnswerThread();
  #missing: MissingSettingsError | undefined;

  constructor(options: OipOptions) {
    this.#options = options;
  }

  /** The first refusal for settings that nobody has given; undefined if there was none. */
  get missing(): MissingSettingsError | undefined {
    return this.#missing;
  }

  entry(text: string): ReturnType<TeacherProtocol['entry']> {
    return oipEntry(text);
  }

  converse(
    endpoint: Endpoint,
    settings: ClientSettings,
    admission: Admission,
    events: ConversationEvents,
  ): Conversation {
    const onMisfit = (error: ContractMismatchError) => {
      if (error instanceof MissingSettingsError) this.#missing ??= error;
      events.onMisfit(error);
    };
    const parts = { options: this.#options, thread: this.#thread };
    return new OipConversation(endpoint, settings, admission, { ...events, onMisfit }, parts);
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}

interface Parts {
  readonly options: OipOptions;
  readonly thread: AnswerThread;
}

class OipConversation implements Conversation {
  readonly greeting: Conversation['greeting'];
  readonly #endpoint: Endpoint;
  readonly #model: OipAddress;
  readonly #settings: ClientSettings;
  readonly #admission: Admission;
  readonly #events: ConversationEvents;
  readonly #options: OipOptions;
  readonly #exchange: InferExchange;
  readonly #incomplete = new IncompleteTrials();
  #connection: OipConnection | undefined;

  constructor(
    endpoint: Endpoint,
    settings: ClientSettings,
    admission: Admission,
    events: ConversationEvents,
    { options, thread }: Parts,
  ) {
    this.#endpoint = endpoint;
    this.#model = parseOipAddress(endpoint.address);
    this.#settings = settings;
    this.#admission = admission;
    this.#events = events;
    this.#options = options;
    const onOver = (code: status, details: string) => this.#over(code, details);
    this.#exchange = new InferExchange(endpoint.address, this.#model, settings, thread, {
      ...{ onOver, onAnswered: events.onAnswered, onRefused: events.onRefused },
      onFailed: events.onFailed,
    });
    const timeoutMs = QUESTIONS * this.#questionMs + 2 * settings.requestTimeoutMs;
    this.greeting = { name: 'answer to the first questions and the trial image', timeoutMs };
  }

  get size(): number {
    return this.#exchange.size;
  }

  open(): void {
    const { settings } = this.#options;
    const connection = new OipConnection(
      this.#endpoint,
      this.#settings,
      settings.headers,
      (details) => this.#over(status.UNAVAILABLE, details),
    );
    this.#connection = connection;
    void this.#greet(connection);
  }

  send(request: ImageRequest): void {
    this.#exchange.send(request);
  }

  drop(request: ImageRequest): void {
    this.#exchange.drop(request);
  }

  dropAll(): void {
    this.#exchange.dropAll();
  }

  finish(): void {
    this.#exchange.finish();
  }

  cut(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  end(reason: string): ImageRequest[] {
    return this.#exchange.end(reason);
  }

  get #questionMs(): number {
    return Math.min(QUESTION_TIMEOUT_MS, this.#settings.requestTimeoutMs);
  }

  async #greet(connection: OipConnection): Promise<void> {
    const { expected, requestTimeoutMs, outputs } = this.#settings;
    const { classes = null, outputStride } = expected;
    try {
      const agreed = await greet(connection, {
        address: this.#endpoint.address,
        model: this.#model,
        ...this.#options,
        expected: { classes, outputStride, needsFeature: usesFeature(outputs) },
        timeoutMs: this.#questionMs,
        trialTimeoutMs: requestTimeoutMs,
      });
      if (this.#connection !== connection) return;
      const travelling = travellingOutputs(askedOutputs(agreed.outputs, outputs));
      const { info, reading } = agreed;
      this.#admission.admitInfo(this.#endpoint.address, info, { reading, travelling });
      connection.watch();
      if (!connection.isConnected) {
        throw new CallError('', status.UNAVAILABLE, 'the connection was lost');
      }
      this.#exchange.open(connection, agreed);
      this.#events.onAgreed({
        info: agreed.info,
        maxImagePixels: Number.POSITIVE_INFINITY,
        maxInflightImages: Number.POSITIVE_INFINITY,
        uploadCreditBytes: Number.POSITIVE_INFINITY,
        cachesAnswers: false,
        refusalOf: (image) => sizeRefusal(this.#endpoint.address, agreed.input, image),
      });
      this.#incomplete.ended();
    } catch (thrown) {
      if (this.#connection !== connection) return;
      this.#incomplete.ended(thrown);
      const { address } = this.#endpoint;
      const error = this.#incomplete.misfit(thrown, address, this.#model.model) ?? thrown;
      if (error instanceof ContractMismatchError) {
        this.cut();
        this.#events.onMisfit(error);
      } else if (error instanceof CallError) {
        this.#over(error.code, error.details);
      } else throw error;
    }
  }

  #over(code: status, details: string): void {
    if (this.#connection === undefined) return;
    this.cut();
    this.#events.onEnd(code, details);
  }
}

function usesFeature(outputs: readonly NeededOutput[]): boolean {
  return outputs.some((output) => OUTPUTS[output].of === 'feature');
}

function sizeRefusal(
  address: string,
  { height: fixedHeight, width: fixedWidth }: ModelInput,
  { height, width }: { readonly height: number; readonly width: number },
): string | undefined {
  if ((fixedHeight ?? height) === height && (fixedWidth ?? width) === width) return undefined;
  const wanted = `${fixedHeight ?? 'any'} x ${fixedWidth ?? 'any'}`;
  return `image size: ${height} x ${width} given, the model of teacher ${address} takes ${wanted}`;
}
