/** Shapes and sizes of an image's outputs. Each side derives them from the welcome and the image's size. */
import type { WireDType } from '../../contract/encodedTensor.js';
import { dtypeOfOutput, type OutputName, type OutputRequest } from '../../contract/outputs.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import { outputSize, tensorBytes } from '../../wire/checkTensor.js';

/** The dtype and shape that an image's output must have. */
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
  return requests.map((request) => {
    const depth = depthOf(request.output, sizes);
    const shape = depth === null ? [h, w] : [h, w, depth];
    return { name: request.output, dtype: dtypeOfOutput(request), shape };
  });
}

function depthOf(output: OutputName, sizes: OutputSizes): number | null {
  if (output === 'logits') return sizes.classes;
  return output === 'embedding' ? sizes.featureChannels : null;
}

/** Bytes of a whole answer. */
export function answerBytes(outputs: readonly ExpectedOutput[]): number {
  return outputs.reduce((sum, { dtype, shape }) => sum + tensorBytes(dtype, shape), 0);
}

/** Bytes of one row: tensors are sent in chunks of whole rows. */
export function rowBytes({ dtype, shape }: ExpectedOutput): number {
  return tensorBytes(dtype, shape.slice(1));
}
