/**
 * KL divergences between softmaxes over the positions of maps, one per channel.
 *
 * N images, P positions, C channels; R channels per tile.
 *
 * The addon's kernel (../native/columnKl.cc) passes over the maps as they are, three times; TensorFlow's
 * softmax needs them transposed.
 */
import { float32, scalar } from '../create.js';
import { executeAll } from '../execute.js';
import { mul, sub } from '../ops/elementwise.js';
import { concat, reshape, rows, slice, transpose } from '../ops/shape.js';
import { softmax, softmaxCrossEntropy } from '../ops/softmax.js';
import { scope, type Tensor } from '../tensor.js';

export interface ColumnKlOptions {
  /** 1 / T: both maps are multiplied with it. */
  readonly inverseTemperature: number;
  /** Of the gradient. */
  readonly factor: number;
  /** R: how many channels are computed at a time where their maps are copied. */
  readonly tileChannels: number;
}

export interface ColumnKl {
  /** float32 [N, C]: KL(softmax(teacher / T) || softmax(student / T)) over the positions. */
  readonly kl_NC: Tensor;
  /** float32 [N, P, C]: factor * (q - p), q the student's probabilities and p the teacher's. */
  readonly gradient_NPC: Tensor;
}

/** Of maps float32 [N, P, C]. */
export type ColumnKlKernel = (
  student_NPC: Tensor,
  teacher_NPC: Tensor,
  options: ColumnKlOptions,
) => ColumnKl;

/** CPU only. */
export const nativeColumnKl: ColumnKlKernel = (
  student_NPC,
  teacher_NPC,
  { inverseTemperature, factor },
) =>
  scope(() => {
    const numbers = float32(Float32Array.of(inverseTemperature, factor), [2]);
    const inputs = [student_NPC, teacher_NPC, numbers];
    const [gradient_NPC, kl_NC] = executeAll('CirkdColumnKl', inputs, [], 2);
    return { kl_NC: kl_NC!, gradient_NPC: gradient_NPC! };
  });

/** Composed of TensorFlow's ops; any device. */
export const composedColumnKl: ColumnKlKernel = (student_NPC, teacher_NPC, options) =>
  scope(() => {
    const [images = 0, positions = 0, channels = 0] = student_NPC.shape;
    const perImage = Array.from({ length: images }, (_, image) =>
      scope(() => {
        const map = (x_NPC: Tensor) => reshape(rows(x_NPC, image, 1), [positions, channels]);
        return imageKl(map(student_NPC), map(teacher_NPC), options);
      }),
    );
    const all = (part: 'kl_C' | 'gradient_PC') =>
      concat(
        perImage.map((each) => each[part]),
        0,
      );
    return {
      kl_NC: reshape(all('kl_C'), [images, channels]),
      gradient_NPC: reshape(all('gradient_PC'), student_NPC.shape),
    };
  });

function imageKl(student_PC: Tensor, teacher_PC: Tensor, options: ColumnKlOptions) {
  const [positions = 0, channels = 0] = student_PC.shape;
  const { inverseTemperature, factor, tileChannels } = options;
  const tiles = Array.from({ length: Math.ceil(channels / tileChannels) }, (_, tile) =>
    scope(() => {
      const begin = tile * tileChannels;
      const count = Math.min(tileChannels, channels - begin);
      const softened = (map_PC: Tensor) =>
        scope(() => {
          const some_PR = slice(map_PC, [0, begin], [positions, count]);
          return mul(transpose(some_PR, [1, 0]), scalar(inverseTemperature));
        });
      const [own_RP, target_RP] = [softened(student_PC), softened(teacher_PC)];
      const p_RP = softmax(target_RP);
      const entropy_R = scope(() => softmaxCrossEntropy(target_RP, p_RP).loss_N);
      const { loss_N: cross_R, gradient_NM: gradient_RP } = softmaxCrossEntropy(own_RP, p_RP);
      return {
        kl_C: sub(cross_R, entropy_R),
        gradient_PC: mul(transpose(gradient_RP, [1, 0]), scalar(factor)),
      };
    }),
  );
  return {
    kl_C: concat(
      tiles.map(({ kl_C }) => kl_C),
      0,
    ),
    gradient_PC: concat(
      tiles.map(({ gradient_PC }) => gradient_PC),
      1,
    ),
  };
}
