/** Teachers over gRPC, seen from the student as one Teacher. */
import type { EncodedTensor } from '../../contract/encodedTensor.js';
import type { OutputRequest } from '../../contract/outputs.js';
import type { Teacher, TeacherImage, TeacherReply } from '../../contract/teacher.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import { answerBytes, type ExpectedOutput, expectedOutputs } from '../codec/outputShapes.js';
import type { TeacherProtocol } from './conversation.js';
import { distillProtocol } from './distill/distillConversation.js';
import { Fleet } from './fleet.js';
import { grantedOutputs } from './helloOutputs.js';
import { type ClientOptions, type ClientSettings, withDefaults } from './options.js';
import { unlessAborted } from '../../threads/unlessAborted.js';
import { ImageRequest } from './request.js';

/** For this many images the answering teacher is remembered, for requestElsewhere. */
const REMEMBERED_ANSWERS = 4096;

/**
 * Connects to the teachers and checks the contract; resolves when the first one fits. The others join
 * as they become reachable, and lost ones are tried again until close(): the caller has no connection
 * to manage. The options' hooks report the teachers' states (see TeacherState).
 *
 * Call close() before the process ends; otherwise the connections keep the event loop alive. The
 * signal only ends the wait for the first teacher. `protocols` are asked first whether an address is
 * theirs; what none of them knows is an address of our own protocol.
 *
 * Rejects with ContractMismatchError when no teacher fits (the message names the field, its value
 * at each teacher and at the student), TeacherUnavailableError when none answered within
 * `teacherTimeoutMs`, RangeError on options out of range, the signal's reason on abort.
 */
export async function connectTeachers(
  options: ClientOptions,
  signal?: AbortSignal,
  protocols: readonly TeacherProtocol[] = [],
): Promise<RemoteTeacher> {
  const settings = withDefaults(options);
  const fleet = new Fleet(settings, [...protocols, distillProtocol]);
  try {
    return new RemoteTeacher(fleet, await unlessAborted(fleet.open(), signal), settings);
  } catch (error) {
    await fleet.close();
    throw error;
  }
}

/**
 * A fleet as one teacher. Requests are independent: they may be made at any time, many at once, and are
 * answered in any order. The client bounds the requests in flight; the others wait here, in order.
 *
 * - Lost connections, time-outs and damaged answers are no errors: the image is requested again, at
 *   another teacher where there is one.
 * - A request rejects only when a retry can't help: see Teacher.request, and below.
 * - After close() every open request has been rejected, and every new one is. A second close() has no
 *   effect.
 */
export class RemoteTeacher implements Teacher {
  readonly info: TeacherInfo;
  readonly classifier: EncodedTensor | null;
  /** What each reply consists of. */
  readonly outputs: readonly OutputRequest[];
  readonly #fleet: Fleet;
  readonly #settings: ClientSettings;
  readonly #answeredBy = new Map<string, string>();

  /** Use connectTeachers instead. */
  constructor(fleet: Fleet, info: TeacherInfo, settings: ClientSettings) {
    this.#fleet = fleet;
    this.info = info;
    this.classifier = fleet.contract.classifier;
    this.#settings = settings;
    this.outputs = grantedOutputs(info, settings);
  }

  /** How the teachers so far are asked and read, where the digest doesn't cover that; else empty. */
  get answerScope(): string {
    return this.#fleet.contract.answerScope;
  }

  /** The tensors of a reply to an image of this size. */
  expectedFor(size: { readonly height: number; readonly width: number }): ExpectedOutput[] {
    return expectedOutputs(size, this.info, this.outputs);
  }

  /** The smallest maxInflightBytes that admits the answer to an image of this size. */
  inflightBytesFor(size: { readonly height: number; readonly width: number }): number {
    const outputs = this.#fleet.contract.travellingOutputs;
    const travelling = grantedOutputs(this.info, { ...this.#settings, outputs });
    return answerBytes(expectedOutputs(size, this.info, travelling));
  }

  /**
   * Resolves with outputs whose buffers are owned by the caller alone. Also rejects with
   * ImageRefusedError if a teacher refuses the image for good, RangeError if the image's fields
   * contradict each other or its answer doesn't fit into maxInflightBytes.
   */
  request(image: TeacherImage, signal?: AbortSignal): Promise<TeacherReply> {
    return this.#submit(image, signal);
  }

  /**
   * Counts the earlier answer as the image's first non-finite one; a second ends the request. For an
   * image that wasn't answered, or was answered more than 4096 images ago, any teacher is used.
   */
  requestElsewhere(image: TeacherImage, signal?: AbortSignal): Promise<TeacherReply> {
    const avoid = this.#answeredBy.get(keyOf(image));
    this.#settings.onRequeued?.('nonfinite', `${avoid ?? 'a teacher'}: non-finite value`);
    return this.#submit(image, signal, (request) => {
      if (avoid !== undefined) request.failedAt.add(avoid);
      request.attempts = 1;
      request.nonFiniteReplies = 1;
    });
  }

  /** Rejects open requests and ends the streams; resolves within about half a second, when they have ended. */
  close(): Promise<void> {
    return this.#fleet.close();
  }

  async #submit(
    image: TeacherImage,
    signal?: AbortSignal,
    prepare?: (request: ImageRequest) => void,
  ): Promise<TeacherReply> {
    signal?.throwIfAborted();
    const bytes = this.inflightBytesFor(image);
    const request = new ImageRequest(image, this.expectedFor(image), signal, bytes);
    this.#check(request);
    prepare?.(request);
    this.#fleet.submit(request);
    const reply = await request.promise;
    this.#remember(keyOf(image), request.answeredBy!);
    return reply;
  }

  #check({ image, replyBytes: wanted }: ImageRequest): void {
    const { sample, height, width, rgb } = image;
    if (!(height >= 1 && width >= 1) || rgb.length !== height * width * 3) {
      throw new RangeError(
        `image ${sample}: ${rgb.length} bytes given, ${height}x${width} RGB needs ${height * width * 3}`,
      );
    }
    const { maxInflightBytes } = this.#settings;
    if (wanted > maxInflightBytes) {
      throw new RangeError(
        `maxInflightBytes: ${maxInflightBytes} given, the answer to a ${height}x${width} image needs at least ${wanted}`,
      );
    }
  }

  #remember(key: string, address: string): void {
    this.#answeredBy.delete(key);
    this.#answeredBy.set(key, address);
    if (this.#answeredBy.size > REMEMBERED_ANSWERS) {
      const [oldest] = this.#answeredBy.keys();
      this.#answeredBy.delete(oldest!);
    }
  }
}

function keyOf({ sample, augmentationSeed }: TeacherImage): string {
  return `${sample}\n${augmentationSeed}`;
}
