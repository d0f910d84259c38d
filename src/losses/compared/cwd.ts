/**
 * Channel-wise distillation (CWD): Shu et al., "Channel-wise knowledge distillation for dense
 * prediction", ICCV 2021, as the official CIRKD code has it.
 *
 * N images, H W positions, P = H * W, C student channels, D teacher channels, R channels per tile.
 * Official weights 50 (features) and 3 (logits), temperature 4.
 *
 * Each channel's map is a distribution over positions, softmax(map / T).
 * loss = T^2 / (N * C) * sum over images and channels of KL(teacher || student).
 * If C and D differ, the student first goes through a trained 1x1 convolution without bias; the
 * divisor stays C, the number of channels before it.
 */
import { ops, scalar, scope, type Tensor } from '../../tensor/index.js';
import { sumInDouble } from '../rowSum.js';
import { type Tiling, tileRowCount } from '../tiling.js';
import { imageRows, requireSamePositions, requireSameShape } from './maps.js';
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
    const step = tileRowCount(channels, positions, tiling);
    const invTemperature = scalar(1 / temperature);
    const factor = scalar(temperature / divisor);
    let klSum = 0;
    const perImage = Array.from({ length: images }, (_, image) =>
      scope(() => {
        const [own_PC, target_PC] = [
          imageRows(student_NHWC, image),
          imageRows(teacher_NHWC, image),
        ];
        const tiles: Tensor[] = [];
        for (let begin = 0; begin < channels; begin += step) {
          const count = Math.min(step, channels - begin);
          const softened = (map_PC: Tensor) =>
            scope(() => {
              const some_PR = ops.slice(map_PC, [0, begin], [positions, count]);
              return ops.mul(ops.transpose(some_PR, [1, 0]), invTemperature);
            });
          const tile = scope(() => {
            const { kl, gradient_RP } = rowsKl(softened(own_PC), softened(target_PC));
            return { kl, gradient_PR: ops.mul(ops.transpose(gradient_RP, [1, 0]), factor) };
          });
          klSum += tile.kl;
          tiles.push(tile.gradient_PR);
        }
        return ops.concat(tiles, 1);
      }),
    );
    return {
      loss: (temperature ** 2 / divisor) * klSum,
      gradient_NHWC: ops.reshape(ops.concat(perImage, 0), student_NHWC.shape),
    };
  });
}

/** Sum over rows of KL(teacher || student) between their softmaxes; gradient q - p. */
function rowsKl(student_RP: Tensor, teacher_RP: Tensor) {
  return scope(() => {
    const p_RP = ops.softmax(teacher_RP);
    const entropy_R = scope(() => ops.softmaxCrossEntropy(teacher_RP, p_RP).loss_N);
    const { loss_N, gradient_NM } = ops.softmaxCrossEntropy(student_RP, p_RP);
    return { kl: sumInDouble(ops.sub(loss_N, entropy_R)), gradient_RP: gradient_NM };
  });
}
