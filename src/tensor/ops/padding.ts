/** Padding as the attributes of TensorFlow's convolutions and pooling have it. */
import { attribute } from '../execute.js';

/**
 * So many rows and columns on each side, given explicitly: TensorFlow's SAME puts the odd row at the end
 * where PyTorch puts it at both.
 */
export const paddingAttributes = (padding: number) =>
  padding === 0
    ? [attribute.string('padding', 'VALID')]
    : [
        attribute.string('padding', 'EXPLICIT'),
        attribute.int('explicit_paddings', [0, 0, padding, padding, padding, padding, 0, 0]),
      ];
