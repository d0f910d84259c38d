/**
 * Channel-wise distillation (CWD): Shu et al., "Channel-wise knowledge distillation for dense
 * prediction", ICCV 2021, as the official CIRKD code has it.
 *
 * N images, H W positions, P = H * W, C student channels, D teacher channels.
 * Official weights 50 (features) and 3 (logits), temperature 4.
 *
 * Each channel's map is a distribution over positions, softmax(map / T).
 * loss = T^2 / (N * C) * sum over images and channels of KL(teacher || student).
 * If C and D differ, the student first goes through a trained 1x1 convolution without bias; the
 * divisor stays C, the number of channels before it.
 */
import { kernels, ops, scope, type Tensor } from '../../tensor/index.js';
import { sumInDouble } from '../rowSum.js';
import { type Tiling, tileRowCount } from '../tiling.js';
import { requireSamePositions, requireSameShape } from './maps.js';
import { convolved, convolvedGrad, requireConvolution } from './pointwiseConvolution.js';

export interface CwdOptions {
  readonly temperature: number;
  readonly tiling: Tiling;
}

export interface CwdLoss {
  readonly loss: number;
  /** float32 [N, H, W, C], with respect to the student's map. */
  readonly gradient_NHWC: Tensor;
}

export interface ConvolvedCwdLoss extends CwdLoss {
  /** float32 [C, D], with respect to the convolution's weights. */
  readonly weightGradient_CD: Tensor;
}

/** @throws RangeError if the shapes differ */
export function cwd(student_NHWC: Tensor, teacher_NHWC: Tensor, options: CwdOptions): CwdLoss {
  requireSameShape(student_NHWC, teacher_NHWC);
  const divisor = student_NHWC.shape[0]! * student_NHWC.shape[3]!;
  return channelKl(student_NHWC, teacher_NHWC, divisor, options);
}

/**
 * @param teacher_NHWD raw: unit rows times norms
 * @param weight_CD the trained 1x1 convolution; PyTorch's [D, C, 1, 1] transposed
 * @throws RangeError on shapes that don't fit
 */
export function convolvedCwd(
  student_NHWC: Tensor,
  teacher_NHWD: Tensor,
  weight_CD: Tensor,
  options: CwdOptions,
): ConvolvedCwdLoss {
  requireSamePositions(student_NHWC, teacher_NHWD);
  requireConvolution(weight_CD, student_NHWC, teacher_NHWD);
  const divisor = student_NHWC.shape[0]! * student_NHWC.shape[3]!;
  return scope(() => {
    const { loss, gradient_NHWC: dy_NHWD } = scope(() =>
      channelKl(convolved(student_NHWC, weight_CD), teacher_NHWD, divisor, options),
    );
    return { loss, ...convolvedGrad(dy_NHWD, student_NHWC, weight_CD) };
  });
}

/** Sum of the channels' KL times T^2 / divisor, and its gradient with respect to the student's map. */
function channelKl(
  student_NHWC: Tensor,
  teacher_NHWC: Tensor,
  divisor: number,
  { temperature, tiling }: CwdOptions,
): CwdLoss {
  return scope(() => {
    const [images = 0, height = 0, width = 0, channels = 0] = student_NHWC.shape;
    const positions = height * width;
    const asColumns = (map: Tensor) => ops.reshape(map, [images, positions, channels]);
    const columns = [asColumns(student_NHWC), asColumns(teacher_NHWC)] as const;
    const { kl_NC, gradient_NPC } = kernels().columnKl(...columns, {
      inverseTemperature: 1 / temperature,
      factor: temperature / divisor,
      tileChannels: tileRowCount(channels, positions, tiling),
    });
    return {
      loss: (temperature ** 2 / divisor) * sumInDouble(kl_NC),
      gradient_NHWC: ops.reshape(gradient_NPC, student_NHWC.shape),
    };
  });
}
