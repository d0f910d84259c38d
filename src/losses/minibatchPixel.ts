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

/** A teacher's rows as they are compared: norms matter only where the maps are pooled. */
export interface MinibatchTeacher extends Pick<TeacherFeature, 'embedding_NHWD'> {
  readonly norm_NHW: TeacherFeature['norm_NHW'] | null;
}

/** Whether maps of this size are pooled, and the teacher's norms so needed. */
export function poolsMaps(
  { minibatchPooling }: Pick<MinibatchPixelOptions, 'minibatchPooling'>,
  height: number,
  width: number,
): boolean {
  return minibatchPooling === 'auto' && isPooledSize(height, width);
}

/** Throws RangeError if the group size doesn't divide the batch size, or norms are needed and null. */
export function minibatchPixel(
  feature_NHWC: Tensor,
  teacher: MinibatchTeacher,
  options: MinibatchPixelOptions,
): MinibatchPixelLoss {
  return scope(() => {
    const shape = feature_NHWC.shape;
    const [images = 0, height = 0, width = 0] = shape;
    const { temperature, minibatchGroup, tiling } = options;
    const pooled = poolsMaps(options, height, width);
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
function pooledEmbedding({ embedding_NHWD, norm_NHW }: MinibatchTeacher): Tensor {
  if (norm_NHW === null) {
    throw new RangeError('teacher norms: none given, and maps of this size are pooled');
  }
  const raw = () => rawFeature({ embedding_NHWD, norm_NHW });
  return scope(() => unitRows(asRows(averagePool(raw()))).embedding_PC);
}

function asRows(map_NHWK: Tensor): Tensor {
  const channels = map_NHWK.shape.at(-1)!;
  return ops.reshape(map_NHWK, [map_NHWK.size / channels, channels]);
}
