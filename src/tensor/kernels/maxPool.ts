/** Max pooling on a tape, channels last. */
import { vector } from '../create.js';
import { attribute, execute, executeAll } from '../execute.js';
import { paddingAttributes } from '../ops/padding.js';
import { OUTPUT, type Tape, type Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';

export interface MaxPoolGeometry {
  /** 1 to 15. */
  readonly window: number;
  readonly stride: number;
  /** Rows and columns on each side, which are never the maximum; at most half of the window. */
  readonly padding: number;
}

/**
 * x [N, H, W, C] to [N, floor((H + 2 padding - window) / stride) + 1, …, C], as in PyTorch. The gradient goes to the first
 * of equal maxima.
 */
export type MaxPoolKernel = (tape: Tape, x: Var, geometry: MaxPoolGeometry) => Var;

/**
 * Keeps the place of each maximum in its window, a byte each, instead of x and the output (../native/maxPool.cc); CPU
 * only. NaN is the largest value.
 */
export const nativeMaxPool: MaxPoolKernel = (tape, x, { window, stride, padding }) =>
  scope(() => {
    const pooled = (): [Tensor, Tensor] =>
      executeAll('CirkdMaxPool', [x.value, vector([window, stride, padding])], [], 2) as [
        Tensor,
        Tensor,
      ];
    const [, height = 0, width = 0] = x.shape;
    const [y, taps] = pooled();
    const backward = (dy: Tensor) => {
      const numbers = vector([window, stride, padding, height, width]);
      return [execute('CirkdMaxPoolGrad', [dy, taps, numbers], [])];
    };
    return tape.record(y, [x], [taps], backward, { saved: [x], compute: () => pooled()[0] });
  });

/** TensorFlow's ops; any device. */
export const composedMaxPool: MaxPoolKernel = (tape, x, { window, stride, padding }) => {
  const attributes = [
    attribute.type('T', 'float32'),
    attribute.int('ksize', [1, window, window, 1]),
    attribute.int('strides', [1, stride, stride, 1]),
    attribute.string('data_format', 'NHWC'),
    ...paddingAttributes(padding),
  ];
  const compute = () => execute('MaxPool', [x.value], attributes);
  return tape.record(
    compute(),
    [x],
    [x, OUTPUT],
    (dy, y) => [execute('MaxPoolGrad', [x.value, y.value, dy], attributes)],
    { saved: [x], compute },
  );
};
