/** Running teachers as something that predicts: only pixels go there, logits come back. */
import { OUTPUT_STRIDE } from '../../src/contract/teacherInfo.js';
import { decodeStacked } from '../../src/distill/decodeReply.js';
import type { RemoteSegmenter } from '../../src/evaluate/predict.js';
import type { Pixels } from '../../src/models/normalise.js';
import { drawsFor } from '../../src/random/draws.js';
import type { ClientOptions } from '../../src/stream/client/options.js';
import { connectTeachers } from '../../src/stream/client/remoteTeacher.js';

export interface TeacherOptions extends Pick<ClientOptions, 'credentials' | 'serverName'> {
  /** host:port, at least one. */
  readonly addresses: readonly string[];
  /** null: as many as the teacher has. */
  readonly classes: number | null;
  /** Without an answer for so long the command fails. */
  readonly timeoutMs: number;
}

export interface TeacherSegmenter extends RemoteSegmenter {
  readonly model: string;
  readonly digest: string;
  readonly classNames: readonly string[];
  close(): Promise<void>;
}

/** Room for the answers of a batch of windows, which bring the embedding along. */
const MAX_INFLIGHT_BYTES = 2 ** 30;

/**
 * Throws TeacherUnavailableError, and ContractMismatchError where the teacher has other classes.
 * Images travel as bytes: pixels of resized images are rounded.
 */
export async function connectSegmenter(options: TeacherOptions): Promise<TeacherSegmenter> {
  const { addresses, classes, timeoutMs, ...security } = options;
  const jitter = drawsFor(process.pid, 'jitter');
  const runId = `predict-${process.pid}`;
  const remote = await connectTeachers({
    addresses,
    runId,
    encoding: 'fp32',
    expected: { outputStride: OUTPUT_STRIDE, ...(classes === null ? {} : { classes }) },
    requestTimeoutMs: timeoutMs,
    teacherTimeoutMs: timeoutMs,
    maxInflightBytes: MAX_INFLIGHT_BYTES,
    jitter: () => jitter.uniform(),
    ...security,
  });
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
            // Other pixels, another name: teachers may keep answers by it.
            sample: `${runId}-${asked++}`,
            augmentationSeed: 0n,
            ...{ height, width, rgb: asBytes(pixels) },
          }),
        ),
      );
      return decodeStacked(
        'logits',
        // Asked for as sent.
        replies.map(({ logits }) => logits!),
      );
    },
    close: () => remote.close(),
  };
}

function asBytes(pixels: Pixels): Uint8Array {
  return pixels instanceof Uint8Array ? pixels : Uint8Array.from(pixels, Math.round);
}
