/**
 * The contract check: compares a welcome with the student's needs and with the first teacher that was
 * admitted, as all images of a run must go through the same network. Also the handshake that a stream
 * begins with.
 */
import type { EncodedTensor } from '../../contract/encodedTensor.js';
import type { NeededOutput } from '../../contract/outputs.js';
import { ContractMismatchError } from '../../contract/teacher.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import { firstNonFinite, tensorBytes } from '../../wire/checkTensor.js';
import { PROTOCOL_VERSION } from '../codec/teacherService.js';
import { CHANNEL_ORDER } from '../codec/wireNames.js';
import type { OutputEncodingInput } from '../generated/cirkd/teacher/v1/OutputEncoding.js';
import type { TeacherInfo as WireInfo } from '../generated/cirkd/teacher/v1/TeacherInfo.js';
import type { Welcome } from '../generated/cirkd/teacher/v1/Welcome.js';
import { type OutputOptions, wantsClassifier, welcomeOutputs } from './helloOutputs.js';
import type { ClientSettings, ExpectedContract } from './options.js';
import { ReplyAssembly } from './distill/replyAssembly.js';
import type { TeacherMessage } from './distill/responseDecoder.js';

/** Four times the size of 1000 classes of 4096 channels. */
const MAX_CLASSIFIER_BYTES = 64 * 2 ** 20;

/** The terms agreed between one teacher and the student. */
export interface Agreement {
  readonly info: TeacherInfo;
  /** Infinity where the teacher states no limit. */
  readonly maxImagePixels: number;
  readonly maxInflightImages: number;
  /** First grant of pixels, in bytes. */
  readonly uploadCreditBytes: number;
  /** Why the teacher would never accept an image of this size; undefined if it would, or always does. */
  refusalOf?(image: { readonly height: number; readonly width: number }): string | undefined;
  /** Whether an image that it has answered before costs it nothing. */
  readonly cachesAnswers: boolean;
}

/** How a teacher of another protocol is asked and its answers are read. */
export interface Reading {
  /** As one text, not empty. */
  readonly reading: string;
  /** What its answers consist of before they are read: at least what is needed of them. */
  readonly travelling: readonly NeededOutput[];
}

/** The contract of a fleet: what the student expects, completed by the first teacher that fits. */
export class FleetContract {
  readonly #expected: ExpectedContract;
  readonly #outputOptions: OutputOptions;
  /** How the admitted teachers are asked and read; empty for our own, whose digest covers that. */
  readonly #readings = new Set<string>();
  /** What answers of other protocols consist of. */
  readonly #travelling = new Set<NeededOutput>();
  #first: { address: string; info: TeacherInfo; classifier: EncodedTensor | null } | undefined;

  constructor({ expected, ...options }: OutputOptions & Pick<ClientSettings, 'expected'>) {
    this.#expected = expected;
    this.#outputOptions = options;
  }

  /** The first teacher's info; undefined before one fits and has sent its classifier, if wanted. */
  get info(): TeacherInfo | undefined {
    return this.#first?.info;
  }

  /** The classifier that all teachers share; null if none is wanted. */
  get classifier(): EncodedTensor | null {
    return this.#first?.classifier ?? null;
  }

  /** All that an answer of a teacher so far may consist of while it travels. */
  get travellingOutputs(): NeededOutput[] {
    return [...new Set([...this.#outputOptions.outputs, ...this.#travelling])];
  }

  /** What answers depend on beyond the digest, of all teachers so far; empty if all are our own. */
  get answerScope(): string {
    const readings = [...this.#readings].sort();
    return readings.some((reading) => reading !== '') ? JSON.stringify(readings) : '';
  }

  /** Throws ContractMismatchError, which names the field, the teacher's value and the student's. */
  admit(address: string, welcome: Welcome): Agreement {
    if (welcome.protocolVersion !== PROTOCOL_VERSION) {
      refuse(address, 'protocol_version', welcome.protocolVersion, PROTOCOL_VERSION);
    }
    const info = readInfo(address, welcome.teacher);
    this.#checkExpected(address, info);
    if (wantsClassifier(this.#outputOptions)) checkClassifierSize(address, info);
    this.#checkOutputs(address, welcome, info);
    this.#checkFirst(address, info);
    // A teacher that has yet to send its classifier isn't the first one yet: it may never send it.
    if (!wantsClassifier(this.#outputOptions)) this.#first ??= { address, info, classifier: null };
    this.#readings.add('');
    return {
      info,
      maxImagePixels: welcome.limits?.maxImagePixels || Number.POSITIVE_INFINITY,
      maxInflightImages: welcome.limits?.maxInflightImages || Number.POSITIVE_INFINITY,
      uploadCreditBytes: welcome.creditBytes,
      cachesAnswers: welcome.cachesAnswers,
    };
  }

  /** Admits a teacher of another protocol, which says nothing of outputs. Throws as admit(). */
  admitInfo(address: string, info: TeacherInfo, { reading, travelling }: Reading): void {
    this.#checkExpected(address, info);
    this.#checkFirst(address, info);
    this.#first ??= { address, info, classifier: null };
    this.#readings.add(reading);
    for (const output of travelling) this.#travelling.add(output);
  }

  /**
   * Checks the classifier of a teacher that was admitted with `info`. Throws ContractMismatchError if
   * it isn't finite, or differs from the first teacher's although the digests agree.
   */
  admitClassifier(address: string, info: TeacherInfo, tensor: EncodedTensor): void {
    const broken = firstNonFinite(tensor);
    if (broken >= 0) {
      throw new ContractMismatchError(
        `classifier: teacher ${address} sent a non-finite value at ${broken} of [${tensor.shape}]`,
      );
    }
    // Another teacher may have become the first since this one's welcome.
    this.#checkFirst(address, info);
    const known = this.#first?.classifier;
    if (known != null && !Buffer.from(known.data).equals(Buffer.from(tensor.data))) {
      throw new ContractMismatchError(
        `classifier: teacher ${address} sent a different one than ${this.#first!.address} under the same digest`,
      );
    }
    this.#first ??= { address, info, classifier: tensor };
  }

  #checkExpected(address: string, info: TeacherInfo): void {
    const { classes, outputStride, takesAnyStride, digest, featureChannels } = this.#expected;
    if (classes !== undefined && info.classes !== classes) {
      refuse(address, 'classes', info.classes, classes);
    }
    if (info.outputStride !== outputStride && takesAnyStride !== true) {
      refuse(address, 'output_stride', info.outputStride, outputStride);
    }
    if (digest != null && info.digest !== digest) refuse(address, 'digest', info.digest, digest);
    if (featureChannels !== undefined && info.featureChannels !== featureChannels) {
      refuse(address, 'feature_channels', info.featureChannels, featureChannels);
    }
  }

  #checkFirst(address: string, info: TeacherInfo): void {
    const first = this.#first;
    if (first === undefined) return;
    const fields = [
      ['digest', info.digest, first.info.digest],
      ['feature_channels', info.featureChannels, first.info.featureChannels],
      // Matters only to those who ask for them.
      ...(this.#outputOptions.outputs.includes('aux_norm')
        ? [['has_aux_logits', info.hasAuxLogits, first.info.hasAuxLogits] as const]
        : []),
    ] as const;
    for (const [field, given, wanted] of fields) {
      if (given === wanted) continue;
      throw new ContractMismatchError(
        `${field}: teacher ${address} has ${given}, the first teacher's (${first.address}) is ${wanted}`,
      );
    }
  }

  #checkOutputs(address: string, welcome: Welcome, info: TeacherInfo): void {
    const listed = (outputs: readonly OutputEncodingInput[]) =>
      outputs
        .map(({ output, encoding }) => `${output} as ${encoding}`)
        .sort()
        .join(', ');
    const granted = listed(welcome.outputs);
    const wanted = listed(welcomeOutputs(info, this.#outputOptions));
    if (granted !== wanted) refuse(address, 'outputs', granted || 'none', wanted);
  }
}

function refuse(address: string, field: string, teacher: unknown, student: unknown): never {
  throw new ContractMismatchError(
    `${field}: teacher ${address} has ${teacher}, the student's is ${student}`,
  );
}

/** Only the channels need a bound: the classes already match, the channels are the teacher's own claim. */
function checkClassifierSize(address: string, { classes, featureChannels }: TeacherInfo): void {
  if (featureChannels === 0) {
    throw new ContractMismatchError(
      `feature_channels: teacher ${address} has 0, no feature to rebuild logits from; set teacher.logits: sent`,
    );
  }
  const bytes = tensorBytes('fp32', [classes, featureChannels + 1]);
  if (bytes > 0 && bytes <= MAX_CLASSIFIER_BYTES) return;
  throw new ContractMismatchError(
    `classifier: ${bytes} bytes at teacher ${address}, for ${classes} classes of ${featureChannels} channels, wanted 1 to ${MAX_CLASSIFIER_BYTES}`,
  );
}

function readInfo(address: string, wire: WireInfo | null): TeacherInfo {
  if (wire === null) {
    throw new ContractMismatchError(`teacher: ${address} sent none in its welcome`);
  }
  return {
    digest: wire.digest,
    model: wire.model,
    classes: wire.classes,
    featureChannels: wire.featureChannels,
    hasAuxLogits: wire.hasAuxLogits,
    outputStride: wire.outputStride,
    pixelMean: wire.pixelMean,
    pixelStd: wire.pixelStd,
    channelOrder: CHANNEL_ORDER.fromWire(wire.channelOrder) ?? 'rgb',
    alignCorners: !wire.halfPixelCenters,
    numericMode: wire.numericMode,
    classNames: wire.classNames,
  };
}

/** A message came that isn't allowed before the stream is open. */
export class HandshakeError extends Error {
  override readonly name = 'HandshakeError';
}

/** The checks of a handshake. Each throws ContractMismatchError. */
export interface Admission {
  admit(address: string, welcome: Welcome): Agreement;
  admitClassifier(address: string, info: TeacherInfo, classifier: EncodedTensor): void;
  admitInfo(address: string, info: TeacherInfo, reading: Reading): void;
}

/**
 * The start of a stream, seen from the client: the welcome and, if logits are rebuilt, the teacher's
 * classifier. Only then does the teacher get images.
 */
export class Handshake {
  readonly #address: string;
  readonly #settings: ClientSettings;
  readonly #admission: Admission;
  #agreement: Agreement | undefined;
  #classifier: ReplyAssembly | undefined;
  #missingBytes = 0;

  constructor(address: string, settings: ClientSettings, admission: Admission) {
    this.#address = address;
    this.#settings = settings;
    this.#admission = admission;
  }

  /** Tensor bytes known to be missing before the stream is open. */
  get missingBytes(): number {
    return this.#missingBytes;
  }

  /**
   * The agreement once the stream is open; undefined while a message is missing. Throws
   * ContractMismatchError, HandshakeError, ChunkError.
   */
  receive(message: TeacherMessage): Agreement | undefined {
    if (this.#agreement === undefined) return this.#welcome(message);
    if (message.kind !== 'tensor')
      throw new HandshakeError(`${message.kind} before the classifier`);
    const assembly = this.#classifier!;
    const isWhole = assembly.accept(message.chunk);
    this.#missingBytes -= message.chunk.data.length;
    if (!isWhole) return undefined;
    const { info } = this.#agreement;
    this.#admission.admitClassifier(this.#address, info, assembly.tensor('classifier'));
    return this.#agreement;
  }

  #welcome(message: TeacherMessage): Agreement | undefined {
    if (message.kind !== 'welcome') throw new HandshakeError(`${message.kind} while connecting`);
    const agreement = this.#admission.admit(this.#address, message.welcome);
    this.#agreement = agreement;
    if (!wantsClassifier(this.#settings)) return agreement;
    const { classes, featureChannels } = agreement.info;
    const shape = [classes, featureChannels + 1];
    this.#missingBytes = tensorBytes('fp32', shape);
    this.#classifier = new ReplyAssembly([{ name: 'classifier', dtype: 'fp32', shape }]);
    return undefined;
  }
}
