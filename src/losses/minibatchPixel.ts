/**
 * Mini-batch pixel-to-pixel distillation (CIRKD, CVPR 2022, section 3.2): compares the student's
 * similarities between each pixel and all pixels of each image in the batch with the teacher's.
 *
 * N images, H W positions, C student channels, D teacher channels; P = N * h * w rows, where h w are
 * the positions after pooling.
 *
 * Over a group of g images, with F_i the unit rows of image i,
 * loss = (1/g^2) sum over ordered pairs (i, j) of KLrows(Fs_i Fs_j^T, Ft_i Ft_j^T, temperature),
 * KLrows being the mean over rows of KL(teacher || student). There's no temperature^2.
 */
import { ops, scope, type Tensor } from '../tensor/index.js';
import { averagePool, averagePoolGrad, isPooledSize } from './averagePool.js';
import { groupedPairsKl } from './groupedPairsKl.js';
import { unitRows, unitRowsGrad } from './normalize.js';
import { rawFeature, type TeacherFeature } from './teacherFeature.js';
import type { Tiling } from './tiling.js';

export interface MinibatchPixelOptions {
  readonly temperature: number;
  /** Number of images that are compared with one another; must divide N. 0: all images. */
  readonly minibatchGroup: number;
  /** auto: both maps are pooled by 4 if H and W are at least 256 (official v2). */
  readonly minibatchPooling: 'auto' | 'never';
  readonly tiling: Tiling;
}

export interface MinibatchPixelLoss {
  readonly loss: number;
  /** float32 [N, H, W, C], with respect to the raw feature. */
  readonly gradient_NHWC: Tensor;
}

/** Throws RangeError if the group size doesn't divide the batch size. */
export function minibatchPixel(
  feature_NHWC: Tensor,
  teacher: TeacherFeature,
  options: MinibatchPixelOptions,
): MinibatchPixelLoss {
  return scope(() => {
    const shape = feature_NHWC.shape;
    const [images = 0, height = 0, width = 0] = shape;
    const { temperature, minibatchGroup, minibatchPooling, tiling } = options;
    const pooled = minibatchPooling === 'auto' && isPooledSize(height, width);
    const map_NhwC = pooled ? averagePool(feature_NHWC) : feature_NHWC;
    const student = unitRows(asRows(map_NhwC));
    const teacher_PD = pooled ? pooledEmbedding(teacher) : asRows(teacher.embedding_NHWD);
    const { loss, gradient_PC } = groupedPairsKl({
      student_PC: student.embedding_PC,
      ...{ teacher_PD, images, minibatchGroup, temperature, tiling },
    });
    const mapGradient_NhwC = ops.reshape(unitRowsGrad(gradient_PC, student), map_NhwC.shape);
    return {
      loss,
      gradient_NHWC: pooled ? averagePoolGrad(mapGradient_NhwC, shape) : mapGradient_NhwC,
    };
  });
}

/** Unit rows of the pooled raw teacher feature. */
function pooledEmbedding(teacher: TeacherFeature): Tensor {
  return scope(() => unitRows(asRows(averagePool(rawFeature(teacher)))).embedding_PC);
}

function asRows(map_NHWK: Tensor): Tensor {
  const channels = map_NHWK.shape.at(-1)!;
  return ops.reshape(map_NHWK, [map_NHWK.size / channels, channels]);
}
