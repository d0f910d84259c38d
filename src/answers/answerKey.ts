/**
 * What an answer follows from, as one key: the teacher's weights and numeric mode, the outputs with
 * their encodings, and the image's size and bytes. Two questions with the same key have the same answer.
 */
import { createHash, webcrypto } from 'node:crypto';
import type { InferenceImage } from '../contract/inference.js';
import { dtypeOfOutput, type OutputRequest } from '../contract/outputs.js';
import type { TeacherInfo } from '../contract/teacherInfo.js';

/** Changes when keys or packed answers change their meaning. */
const VERSION = 1;

/** The part of a teacher's description that its answers depend on. */
export interface Answerer extends Pick<TeacherInfo, 'digest' | 'numericMode'> {
  /** How it is asked and read, where the digest doesn't cover that. Default: it covers all. */
  readonly scope?: string;
}

/**
 * sha256 in hex. Whether logits are sent or rebuilt shows in the outputs; their order doesn't matter.
 * Reads the whole image: about 1 ms per MiB. `answerKeyInBackground` doesn't block the event loop.
 */
export function answerKey(
  answerer: Answerer,
  outputs: readonly OutputRequest[],
  image: InferenceImage,
): string {
  const hash = createHash('sha256').update(preamble(answerer, outputs, image));
  return hash.update(image.rgb).digest('hex');
}

/** As answerKey, computed on a thread of Node's pool from a copy of the image. */
export async function answerKeyInBackground(
  answerer: Answerer,
  outputs: readonly OutputRequest[],
  image: InferenceImage,
): Promise<string> {
  const bytes = Buffer.concat([Buffer.from(preamble(answerer, outputs, image)), image.rgb]);
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
}

function preamble(
  { digest, numericMode, scope = '' }: Answerer,
  outputs: readonly OutputRequest[],
  { height, width }: InferenceImage,
): string {
  const asked = outputs.map((request) => `${request.output}:${dtypeOfOutput(request)}`).sort();
  const parts = [VERSION, digest, numericMode, height, width, asked];
  return `${JSON.stringify(scope === '' ? parts : [...parts, scope])}\n`;
}
