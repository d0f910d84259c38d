/** Shapes and sizes of an image's outputs. Each side derives them from the welcome and the image's size. */
import type { WireDType } from '../../contract/encodedTensor.js';
import { dtypeOfOutput, type OutputName, type OutputRequest } from '../../contract/outputs.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import { outputSize, tensorBytes } from '../../wire/checkTensor.js';

/** What an output of an image has to be. */
export interface ExpectedOutput {
  readonly name: OutputName;
  readonly dtype: WireDType;
  readonly shape: readonly number[];
}

export type OutputSizes = Pick<TeacherInfo, 'classes' | 'featureChannels' | 'outputStride'>;

/** [h, w, channels] for logits and embedding, [h, w] for norms and scales; in the order of `requests`. */
export function expectedOutputs(
  image: { readonly height: number; readonly width: number },
  sizes: OutputSizes,
  requests: readonly OutputRequest[],
): ExpectedOutput[] {
  const [h, w] = outputSize(image.height, image.width, sizes.outputStride);
  const channels: Readonly<Partial<Record<OutputName, number>>> = {
    logits: sizes.classes,
    embedding: sizes.featureChannels,
  };
  return requests.map((request) => ({
    name: request.output,
    dtype: dtypeOfOutput(request),
    shape: [h, w, ...[channels[request.output] ?? []].flat()],
  }));
}

/** Bytes of a whole answer. */
export function answerBytes(outputs: readonly ExpectedOutput[]): number {
  return outputs.reduce((sum, { dtype, shape }) => sum + tensorBytes(dtype, shape), 0);
}

/** Bytes of one row: tensors travel in pieces of whole rows. */
export function rowBytes({ dtype, shape }: ExpectedOutput): number {
  return tensorBytes(dtype, shape.slice(1));
}
