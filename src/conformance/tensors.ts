/** Converts golden inputs to the losses' form, and results to the golden files' form. */
import { IGNORED } from '../distill/enqueue.js';
import type { LabelMaps } from '../losses/nearestLabels.js';
import { unitRows } from '../losses/normalize.js';
import { rawFeature, type TeacherFeature } from '../losses/teacherFeature.js';
import type { Tiling } from '../losses/tiling.js';
import { float32, ops, readFloat32, scope, type Tensor } from '../tensor/index.js';
import { toChannelsFirst, toChannelsLast } from './layout.js';
import type {
  Float32HostTensor,
  HostTensor,
  Int32HostTensor,
  OperationOptions,
} from './operation.js';

/** Converts [N, C, H, W] on the host to [N, H, W, C] in TensorFlow. */
export function channelsLast(tensor: Float32HostTensor): Tensor {
  const { data, shape } = toChannelsLast(tensor);
  return float32(data, shape);
}

/** Converts [N, H, W, C] in TensorFlow to [N, C, H, W] on the host. */
export function channelsFirst(tensor: Tensor): HostTensor {
  return toChannelsFirst(readFloat32(tensor), tensor.shape);
}

export function hostScalar(value: number): HostTensor {
  return { data: Float32Array.of(value), shape: [] };
}

/** Converts a raw teacher feature [N, C, H, W] to its wire form: unit rows and norms. */
export function teacherFeature(tensor: Float32HostTensor): TeacherFeature {
  return scope(() => {
    const feature_NHWD = channelsLast(tensor);
    const shape = feature_NHWD.shape;
    const channels = shape[3]!;
    const rows = ops.reshape(feature_NHWD, [feature_NHWD.size / channels, channels]);
    const { embedding_PC, norm_P1 } = unitRows(rows);
    return {
      embedding_NHWD: ops.reshape(embedding_PC, shape),
      norm_NHW: ops.reshape(norm_P1, shape.slice(0, 3)),
    };
  });
}

/** The same raw again, as a loss gets it from what travelled. */
export function travelledFeature(tensor: Float32HostTensor): Tensor {
  return scope(() => rawFeature(teacherFeature(tensor)));
}

/** Converts a 1x1 convolution's weights [D, C, 1, 1] on the host to [C, D] in TensorFlow. */
export function pointwiseWeights({ data, shape }: Float32HostTensor): Tensor {
  const [outputs = 0, inputs = 0] = shape;
  return scope(() => ops.transpose(float32(data.slice(), [outputs, inputs]), [1, 0]));
}

/** Converts [C, D] in TensorFlow to [D, C, 1, 1] on the host. */
export function officialPointwise(weight_CD: Tensor): HostTensor {
  const [inputs = 0, outputs = 0] = weight_CD.shape;
  const data = scope(() => readFloat32(ops.transpose(weight_CD, [1, 0])));
  return { data, shape: [outputs, inputs, 1, 1] };
}

/** Labels [N, H, W] with `ignored` replaced by IGNORED. Throws RangeError on labels that don't fit a byte. */
export function labelMaps({ data, shape }: Int32HostTensor, ignored: number): LabelMaps {
  const [images = 0, height = 0, width = 0] = shape;
  const bytes = Uint8Array.from(data, (label) => {
    if (label === ignored) return IGNORED;
    if (label < 0 || label >= IGNORED) throw new RangeError(`labels: ${label} is no class number`);
    return label;
  });
  return { data: bytes, images, height, width };
}

/** Tiles of `tileRows` rows of a similarity matrix, or one tile of all rows. */
export function tilingOf({ tileRows }: OperationOptions): Tiling {
  return { lossMemoryMiB: 512, tileRows: tileRows ?? Number.MAX_SAFE_INTEGER };
}
