/** The bits of convolutions in bfloat16, as one hash: the same at every level of vector instructions. */
import { createHash } from 'node:crypto';
import { drawsFor } from '../../../src/random/draws.js';
import { float32, nativeKernels, readFloat32, scope, Tape } from '../../../src/tensor/index.js';

/** Inputs, outputs, kernel, stride; none is computed by Winograd's algorithm. */
const SHAPES = [
  // Over two passes of channels, one of them odd, and a rest of columns.
  [515, 70, 1, 1],
  [32, 33, 3, 2],
  [16, 5, 5, 1],
] as const;

export function bfloat16Digest(): string {
  const hash = createHash('sha256');
  for (const [inputs, outputs, kernel, stride] of SHAPES) {
    scope(() => {
      const tape = new Tape(false);
      const given = (index: number, shape: number[]) => {
        const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
        drawsFor(6, 'test', index).fillNormal(values, 0, 1);
        return tape.constant(float32(values, shape));
      };
      const filled = (value: number) => float32(new Float32Array(outputs).fill(value), [outputs]);
      // Only a factor: its rounding doesn't depend on whether the processor fuses it with a sum.
      const y = nativeKernels.normalisedConvolution(
        tape,
        given(0, [2, 9, 13, inputs]),
        given(1, [kernel, kernel, inputs, outputs]),
        {
          ...{ stride, dilation: 1, padding: (kernel - 1) / 2 },
          ...{ depthwise: false, products: 'bfloat16' },
        },
        {
          ...{ scale_C: tape.constant(filled(1)), offset_C: tape.constant(filled(0)) },
          ...{ mean_C: filled(0), variance_C: filled(1) },
        },
        { activation: 'none', shortcut: null },
      );
      hash.update(readFloat32(y.value));
    });
  }
  return hash.digest('hex');
}
