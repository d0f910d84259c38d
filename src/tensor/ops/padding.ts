/** Padding as attributes of TensorFlow's convolutions and pooling. */
import { attribute } from '../execute.js';

/**
 * The same number of rows and columns on each side. Given explicitly, because TensorFlow's SAME may
 * pad only the end where PyTorch pads both sides.
 */
export const paddingAttributes = (padding: number) =>
  padding === 0
    ? [attribute.string('padding', 'VALID')]
    : [
        attribute.string('padding', 'EXPLICIT'),
        attribute.int('explicit_paddings', [0, 0, padding, padding, padding, padding, 0, 0]),
      ];
