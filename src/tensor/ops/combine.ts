/** Operations on a tape that combine several values. */
import { attribute, execute } from '../execute.js';
import type { Tape, Var } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { add as addOp } from './elementwise.js';
import { concat as concatOp, slice } from './shape.js';

/** a + b; both have the same shape. */
export function add(tape: Tape, a: Var, b: Var): Var {
  if (a.shape.join() !== b.shape.join()) {
    throw new Error(`add: shapes [${a.shape}] and [${b.shape}] differ`);
  }
  const compute = () => addOp(a.value, b.value);
  return tape.record(
    compute(),
    [a, b],
    [],
    (dy) => [a.needsGradient ? dy : null, b.needsGradient ? dy : null],
    { saved: [a, b], compute },
  );
}

/** Adds bias [K] along the last axis of x. */
export function biasAdd(tape: Tape, x: Var, bias: Var): Var {
  return tape.record(biasAddOp(x.value, bias.value), [x, bias], [], (dy) => [
    x.needsGradient ? dy : null,
    bias.needsGradient ? biasGradient(dy) : null,
  ]);
}

/** The same for tensors. */
export const biasAddOp = (x: Tensor, bias_K: Tensor) =>
  execute('BiasAdd', [x, bias_K], biasAttributes(x));

/** The bias's gradient: dy, summed over all axes but the last. */
export const biasGradient = (dy: Tensor) => execute('BiasAddGrad', [dy], biasAttributes(dy));

const biasAttributes = (x: Tensor) => [
  attribute.type('T', x.dtype),
  attribute.string('data_format', 'NHWC'),
];

/** Concatenates along `axis`. */
export function concat(tape: Tape, inputs: readonly Var[], axis: number): Var {
  const compute = () =>
    concatOp(
      inputs.map((input) => input.value),
      axis,
    );
  const backward = (dy: Tensor) => {
    let offset = 0;
    return inputs.map((input) => {
      const begin = input.shape.map((_, at) => (at === axis ? offset : 0));
      offset += input.shape[axis]!;
      return input.needsGradient ? slice(dy, begin, input.shape) : null;
    });
  };
  return tape.record(compute(), inputs, [], backward, { saved: inputs, compute });
}
