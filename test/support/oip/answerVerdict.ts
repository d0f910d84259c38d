/**
 * Whether a client may take the bytes of an answer of the scripted model (UINT8 in, FP32 [1, C, h, w] out), judged
 * by the protocol's rules and by none of the client's code.
 */

import { answerIn } from './mutatedMessages.js';
import { CHANNELS, CLASSES } from './scriptedModel.js';

/** What an acceptable answer says. */
export interface Acceptable {
  /** Of the image that it is for; over a call any other text than an id of the student's will do. */
  readonly id: string;
  /** FP32 bytes [C, h, w] */
  readonly logits: Buffer;
  readonly feature: Buffer;
}

/** null: no client may take it, as its form is wrong or a value isn't finite. */
export function acceptable(
  method: string,
  bytes: Buffer,
  { height, width }: { readonly height: number; readonly width: number },
): Acceptable | null {
  let message: ReturnType<typeof answerIn>;
  try {
    message = answerIn(method, bytes);
  } catch {
    return null;
  }
  const { errorMessage, inferResponse: answer } = message;
  if (errorMessage !== '' || answer == null) return null;
  const { id, modelName, modelVersion, outputs, rawOutputContents } = answer;
  if (modelName !== 'segmenter' || modelVersion !== '1') return null;
  const isRaw = rawOutputContents.length > 0;
  // Raw contents are those of the outputs without typed ones, in their order.
  const untyped = outputs.filter(
    ({ contents }) => Object.values(contents ?? {}).flat().length === 0,
  );
  if (isRaw && rawOutputContents.length !== untyped.length) return null;
  const tensor = (name: string, channels: number): Buffer | null => {
    const named = outputs.filter((output) => output.name === name);
    const [output] = named;
    if (output === undefined || named.length > 1) return null;
    const shape = [1, channels, height, width];
    if (output.datatype !== 'FP32' || output.shape.join() !== shape.join()) return null;
    const typed = output.contents?.fp32Contents ?? [];
    const data =
      isRaw && untyped.includes(output)
        ? rawOutputContents[untyped.indexOf(output)]!
        : Buffer.from(Float32Array.from(typed).buffer);
    if (data.length !== 4 * channels * height * width) return null;
    const values = new Float32Array(new Uint8Array(data).buffer);
    return values.every(Number.isFinite) ? data : null;
  };
  const [logits, feature] = [tensor('logits', CLASSES), tensor('feature', CHANNELS)];
  if (logits === null || feature === null) return null;
  // Copies: what came may be a view on a larger buffer.
  return { id, logits: Buffer.from(logits), feature: Buffer.from(feature) };
}
