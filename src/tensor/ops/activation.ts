/** Activations behind a batch norm. */

export type Activation = 'none' | 'relu' | 'relu6';

/** As the addon's kernels number them (../native/activation.h). */
export const ACTIVATION_NUMBER: Readonly<Record<Activation, number>> = {
  none: 0,
  relu: 1,
  relu6: 2,
};
