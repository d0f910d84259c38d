/**
 * How a stream begins, seen from the client: the welcome and, where logits are rebuilt, the teacher's
 * classifier. Only then the teacher gets images.
 */
import type { TeacherInfo } from '../contract/teacherInfo.js';
import type { Agreement } from './clientContract.js';
import type { ClientSettings } from './clientOptions.js';
import { wantsClassifier } from './clientOutputs.js';
import type { Welcome } from './generated/cirkd/teacher/v1/Welcome.js';
import { tensorBytes } from '../wire/checkTensor.js';
import type { EncodedTensor } from '../contract/encodedTensor.js';
import { ReplyAssembly } from './replyAssembly.js';
import type { TeacherMessage } from './replyDecoder.js';

/** Something came that has no place before the stream is open. */
export class HandshakeError extends Error {
  override readonly name = 'HandshakeError';
}

/** Each throws ContractMismatchError. */
export interface Admission {
  admit(address: string, welcome: Welcome): Agreement;
  admitClassifier(address: string, info: TeacherInfo, classifier: EncodedTensor): void;
}

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

  /** Tensor bytes that have to come before the stream is open, as far as is known. */
  get missingBytes(): number {
    return this.#missingBytes;
  }

  /**
   * What was agreed once the stream is open; undefined while more has to come. Throws
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
