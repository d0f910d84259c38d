/** Activations behind a batch norm. */
import type { Tensor } from '../tensor.js';
import { relu, relu6 } from './elementwise.js';

export type Activation = 'none' | 'relu' | 'relu6';

/** As the addon's kernels number them (../native/activation.h). */
export const ACTIVATION_NUMBER: Readonly<Record<Activation, number>> = {
  none: 0,
  relu: 1,
  relu6: 2,
};

/** x itself for 'none'. */
export function activate(x: Tensor, activation: Activation): Tensor {
  switch (activation) {
    case 'none':
      return x;
    case 'relu':
      return relu(x);
    case 'relu6':
      return relu6(x);
  }
}
