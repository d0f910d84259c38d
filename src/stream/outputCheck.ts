/** Checks what an engine gave before any of it is sent: sizes only, no value is read. */
import type { TeacherInfo } from '../contract/teacherInfo.js';
import { checkTensor, outputSize, tensorBytes } from '../wire/checkTensor.js';
import { dtypeOfOutput, type EncodedOutput, type OutputRequest } from '../contract/outputs.js';

/** Channels of an image's output: those of the contract; 1 for norms and scales, which have no axis. */
export function channelsOf({ output }: OutputRequest, info: TeacherInfo): number {
  if (output === 'logits') return info.classes;
  return output === 'embedding' ? info.featureChannels : 1;
}

/** Bytes of the whole answer to an image. */
export function answerBytes(
  outputs: readonly OutputRequest[],
  image: { readonly height: number; readonly width: number },
  info: TeacherInfo,
): number {
  const size = outputSize(image.height, image.width, info.outputStride);
  return outputs.reduce(
    (sum, request) =>
      sum + tensorBytes(dtypeOfOutput(request), [...size, channelsOf(request, info)]),
    0,
  );
}

/** Throws TensorFormatError, or Error where an output is missing or another one than asked for. */
export function checkOutputs(
  outputs: readonly EncodedOutput[],
  wanted: readonly OutputRequest[],
  image: { readonly height: number; readonly width: number },
  info: TeacherInfo,
): void {
  const given = outputs.map(({ output }) => output).join();
  const asked = wanted.map(({ output }) => output).join();
  if (given !== asked) throw new Error(`outputs: ${given} given, wanted ${asked}`);
  const size = outputSize(image.height, image.width, info.outputStride);
  for (const [index, request] of wanted.entries()) {
    const isMap = request.output === 'logits' || request.output === 'embedding';
    const shape = isMap ? [...size, channelsOf(request, info)] : size;
    const { output, tensor } = outputs[index] as EncodedOutput;
    checkTensor(output, tensor, dtypeOfOutput(request), shape);
  }
}
