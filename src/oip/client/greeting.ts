/**
 * The start of a connection: whether server and model are ready, what they say of themselves, and a
 * trial image, whose answer shows what the metadata leaves open.
 */
import { status } from '@grpc/grpc-js';
import { ContractMismatchError } from '../../contract/teacher.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import { printable } from '../../wire/printable.js';
import type { ModelInferResponse } from '../generated/inference/ModelInferResponse.js';
import type { OipAddress } from './address.js';
import {
  CallError,
  type Method,
  type OipConnection,
  type RequestOf,
  type ResponseOf,
} from './connection.js';
import { checkTrial } from './trial/trialAnswer.js';
import { inferRequest } from './inferRequest.js';
import { Misfits } from './misfit.js';
import { checkStated, infoOf, readingOf } from './modelInfo.js';
import { type ModelInput, readModelInput } from './modelInput.js';
import {
  checkOutputNames,
  type ExpectedOutputs,
  type ModelOutputs,
  readModelOutputs,
} from './modelOutputs.js';
import { ModelParameterError, readModelParameters, type TeacherFacts } from './modelParameters.js';
import { inputBytes } from './pixels.js';
import { factsText, type ServerFacts } from './serverFacts.js';
import type { OipSettings } from './settings.js';
import { trialOutputs } from './trial/trialOutputs.js';

/** How a model is asked, and what it is. */
export interface AgreedModel {
  readonly info: TeacherInfo;
  /** How it is asked and read: see readingOf. */
  readonly reading: string;
  readonly input: ModelInput;
  readonly outputs: ModelOutputs;
  /** As answers state them; empty if they don't. */
  readonly name: string;
  readonly version: string;
  readonly usesStream: boolean;
}

export interface GreetingOptions {
  readonly address: string;
  readonly model: OipAddress;
  readonly settings: OipSettings;
  readonly expected: ExpectedOutputs;
  /** Size of the trial image where the model takes any. */
  readonly trialSize: { readonly height: number; readonly width: number };
  /** Whether all images have the trial's size: then a model of another size is refused before it. */
  readonly isOnlySize?: boolean;
  /** For each of the first calls. */
  readonly timeoutMs: number;
  /** For the trial: the first answer of a model may take long. */
  readonly trialTimeoutMs: number;
}

/** Codes by which a server says that it lacks a method. */
const LACKING = new Set([status.UNIMPLEMENTED, status.NOT_FOUND, status.INVALID_ARGUMENT]);

/** Codes that another try at the same server can't change. */
const REFUSALS = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
  status.UNIMPLEMENTED,
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
]);

/**
 * Throws ContractMismatchError for a model that doesn't fit or a server that refuses, CallError for one
 * that isn't there or isn't ready.
 */
export async function greet(
  connection: OipConnection,
  options: GreetingOptions,
): Promise<AgreedModel> {
  const { address } = options;
  try {
    return await new Greeting(connection, options).agree();
  } catch (error) {
    if (!(error instanceof CallError && REFUSALS.has(error.code))) throw error;
    const { method, code, details } = error;
    throw new ContractMismatchError(
      `teacher ${address} refused ${method}: ${status[code]}: ${printable(details)}`,
    );
  }
}

class Greeting {
  readonly #connection: OipConnection;
  readonly #options: GreetingOptions;

  constructor(connection: OipConnection, options: GreetingOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  async agree(): Promise<AgreedModel> {
    const { address, settings, expected } = this.#options;
    const facts = await this.#facts();
    const said = factsText(facts);
    const misfits = new Misfits();
    const stated = statedFacts(facts, misfits);
    const input = readModelInput(facts, stated, settings, misfits);
    checkStated(stated, settings, misfits);
    checkOutputNames(facts.metadata.outputs, settings, misfits);
    if (input !== undefined) this.#checkSize(input, misfits);
    if (input === undefined || misfits.faults.length > 0) misfits.throwIfAny(address, said);
    const { trial, usesStream, name, version } = await this.#trial(input!, facts);
    const outputs = readModelOutputs({ trial, input: input!, stated, settings, expected }, misfits);
    misfits.throwIfAny(address, said);
    const known = { facts, stated, settings, version, input: input!, outputs: outputs! };
    const info = infoOf(known);
    return {
      info,
      reading: readingOf(known),
      input: input!,
      outputs: outputs!,
      name,
      version,
      usesStream,
    };
  }

  #checkSize({ height, width }: ModelInput, misfits: Misfits): void {
    const { trialSize: wanted, isOnlySize = false } = this.#options;
    if (!isOnlySize) return;
    if ((height ?? wanted.height) === wanted.height && (width ?? wanted.width) === wanted.width) {
      return;
    }
    misfits.fault(
      `image size: the model takes ${height ?? 'any'} x ${width ?? 'any'}, the student's crops are ${wanted.height} x ${wanted.width}`,
    );
  }

  async #facts(): Promise<ServerFacts> {
    const { model: name, version } = this.#options.model;
    const { ready } = await this.#call('ServerReady', {});
    if (!ready) throw new CallError('ServerReady', status.UNAVAILABLE, 'the server is not ready');
    const model = await this.#modelReady(name, version);
    // Asked in any case: a model that isn't ready may be one that isn't there.
    const metadata = await this.#call('ModelMetadata', { name, version });
    if (!model.ready) {
      throw new CallError('ModelReady', status.UNAVAILABLE, `model ${name} is not ready`);
    }
    const server = await this.#optional('ServerMetadata', {});
    const config = await this.#optional('ModelConfig', { name, version });
    return {
      server: server === null ? '' : `${server.name} ${server.version}`.trim(),
      extensions: server?.extensions ?? [],
      metadata,
      config: config?.config ?? null,
    };
  }

  /** MLServer fails with UNKNOWN for a model that it doesn't know. */
  async #modelReady(name: string, version: string): Promise<{ readonly ready: boolean }> {
    try {
      return await this.#call('ModelReady', { name, version });
    } catch (error) {
      if (error instanceof CallError && error.code === status.UNKNOWN) return { ready: false };
      throw error;
    }
  }

  async #trial(input: ModelInput, facts: ServerFacts) {
    const { trialSize, settings, address, expected } = this.#options;
    const height = input.height ?? trialSize.height;
    const width = input.width ?? trialSize.width;
    const asked = trialOutputs(facts.metadata.outputs, settings, expected.needsFeature);
    const request = inferRequest({
      model: this.#options.model,
      id: 'trial',
      input,
      outputs: asked.names,
      height,
      width,
      data: new Uint8Array(inputBytes(input.datatype, height, width)),
    });
    const isDecoupled = facts.config?.modelTransactionPolicy?.decoupled ?? false;
    if (isDecoupled && settings.stream === 'never') {
      throw new ContractMismatchError(
        `teacher.oip.stream: never given, teacher ${address} has a decoupled model, which answers over a stream only`,
      );
    }
    const mustStream = settings.stream === 'always' || isDecoupled;
    // Triton's extensions come together.
    const mayStream = settings.stream === 'auto' && facts.config !== null;
    const streamed = mustStream || mayStream ? await this.#overStream(request, mustStream) : null;
    const answer = streamed ?? (await this.#overCall(request));
    checkTrial(answer, asked.areNeeded ? asked.names : []);
    const outputs = answer.outputs.map(({ name, datatype, shape }) => ({ name, datatype, shape }));
    return {
      trial: { height, width, outputs },
      usesStream: streamed !== null,
      name: answer.modelName,
      version: answer.modelVersion,
    };
  }

  #overCall(request: RequestOf<'ModelInfer'>): Promise<ModelInferResponse> {
    return this.#connection.call('ModelInfer', request, this.#options.trialTimeoutMs);
  }

  /** null: it doesn't work, and needn't. */
  async #overStream(
    request: RequestOf<'ModelInfer'>,
    isNeeded: boolean,
  ): Promise<ModelInferResponse | null> {
    try {
      return await firstOfStream(this.#connection, request, this.#options.trialTimeoutMs);
    } catch (error) {
      if (error instanceof CallError && !isNeeded && this.#connection.isConnected) return null;
      throw error;
    }
  }

  #call<M extends Method>(method: M, request: RequestOf<M>): Promise<ResponseOf<M>> {
    return this.#connection.call(method, request, this.#options.timeoutMs);
  }

  /** null: the server doesn't have the method. */
  async #optional<M extends Method>(
    method: M,
    request: RequestOf<M>,
  ): Promise<ResponseOf<M> | null> {
    try {
      return await this.#call(method, request);
    } catch (error) {
      if (error instanceof CallError && LACKING.has(error.code)) return null;
      throw error;
    }
  }
}

function statedFacts({ config }: ServerFacts, misfits: Misfits): Partial<TeacherFacts> {
  try {
    return readModelParameters(config?.parameters ?? {});
  } catch (error) {
    if (!(error instanceof ModelParameterError)) throw error;
    misfits.fault(error.message);
    return {};
  }
}

/** The answer to the one request of a stream of its own. Rejects with CallError. */
function firstOfStream(
  connection: OipConnection,
  request: RequestOf<'ModelInfer'>,
  timeoutMs: number,
): Promise<ModelInferResponse> {
  const method = 'ModelStreamInfer';
  return new Promise((resolve, reject) => {
    const settle = (error: CallError | null, response?: ModelInferResponse) => {
      clearTimeout(timer);
      stream.cancel();
      if (error === null) resolve(response!);
      else reject(error);
    };
    const timer = setTimeout(() => {
      settle(new CallError(method, status.DEADLINE_EXCEEDED, `no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    const stream = connection.stream({
      onResponse({ errorMessage, inferResponse }) {
        if (errorMessage !== '') settle(new CallError(method, status.UNKNOWN, errorMessage));
        else if (inferResponse != null && inferResponse.id === request.id)
          settle(null, inferResponse);
      },
      onEnd: (code, details) =>
        settle(new CallError(method, code, details || 'ended without an answer')),
      // Closed by the student: nobody waits for the outcome.
      onCancelled: () => clearTimeout(timer),
    });
    stream.write(request);
  });
}
