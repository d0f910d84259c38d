/** Running teachers as a segmenter: pixels are sent, logits come back. */
import type { OipSection } from '../../src/config/sections/oipSection.js';
import { OUTPUT_STRIDE } from '../../src/contract/teacherInfo.js';
import { decodeStacked } from '../../src/distill/decodeReply.js';
import type { RemoteSegmenter } from '../../src/evaluate/predict.js';
import type { Pixels } from '../../src/models/normalise.js';
import { drawsFor } from '../../src/random/draws.js';
import type { ClientOptions } from '../../src/stream/client/options.js';
import { connectTeachers, type RemoteTeacher } from '../../src/stream/client/remoteTeacher.js';
import { oipProtocol, withMissingKeys } from '../program/oipProtocol.js';

export interface TeacherOptions extends Pick<ClientOptions, 'credentials' | 'serverName'> {
  /** host:port and others that connectTeachers takes, or oip://host:port/model; at least one. */
  readonly addresses: readonly string[];
  /** For models at oip addresses. */
  readonly oip: OipSection;
  /** null: the number that the teacher has. */
  readonly classes: number | null;
  /** The command fails after this time without an answer. */
  readonly timeoutMs: number;
}

export interface TeacherSegmenter extends RemoteSegmenter {
  readonly model: string;
  readonly digest: string;
  readonly classNames: readonly string[];
  close(): Promise<void>;
}

/** Room for the logits of a batch of windows. */
const MAX_INFLIGHT_BYTES = 2 ** 30;

/** Of the image that a model at an oip address is tried with: most networks take multiples of 32. */
const TRIAL_SIZE = { height: 64, width: 128 } as const;

/**
 * Throws TeacherUnavailableError, ContractMismatchError if the teacher's number of classes differs, and
 * ConfigError if a server at an oip address doesn't say what `oip` leaves open.
 * Images are sent as bytes: pixels of resized images are rounded.
 */
export async function connectSegmenter(options: TeacherOptions): Promise<TeacherSegmenter> {
  const runId = `predict-${process.pid}`;
  const oip = oipProtocol(options.oip, TRIAL_SIZE);
  let remote: RemoteTeacher;
  try {
    remote = await connectTeachers(clientOptions(options, runId), undefined, [oip]);
  } catch (error) {
    await oip.close();
    throw withMissingKeys(error, oip);
  }
  const { info } = remote;
  let asked = 0;
  return {
    classes: info.classes,
    alignCorners: info.alignCorners,
    model: info.model,
    digest: info.digest,
    classNames:
      info.classNames.length === info.classes
        ? info.classNames
        : Array.from({ length: info.classes }, (_, k) => `class ${k}`),
    async logits({ height, width, rgb }) {
      const replies = await Promise.all(
        rgb.map((pixels) =>
          remote.request({
            // Different pixels need a different name, as teachers may cache answers by it.
            sample: `${runId}-${asked++}`,
            augmentationSeed: 0n,
            ...{ height, width, rgb: asBytes(pixels) },
          }),
        ),
      );
      return decodeStacked(
        'logits',
        // The request asks for logits to be sent.
        replies.map(({ logits }) => logits!),
      );
    },
    async close() {
      await remote.close();
      await oip.close();
    },
  };
}

function clientOptions(
  { oip: _, addresses, classes, timeoutMs, ...security }: TeacherOptions,
  runId: string,
): ClientOptions {
  const jitter = drawsFor(process.pid, 'jitter');
  return {
    addresses,
    runId,
    outputs: ['logits'],
    encoding: 'fp32',
    expected: {
      ...{ outputStride: OUTPUT_STRIDE, takesAnyStride: true },
      ...(classes === null ? {} : { classes }),
    },
    requestTimeoutMs: timeoutMs,
    teacherTimeoutMs: timeoutMs,
    maxInflightBytes: MAX_INFLIGHT_BYTES,
    jitter: () => jitter.uniform(),
    ...security,
  };
}

function asBytes(pixels: Pixels): Uint8Array {
  return pixels instanceof Uint8Array ? pixels : Uint8Array.from(pixels, Math.round);
}
