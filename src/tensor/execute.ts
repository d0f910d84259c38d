/** Runs TensorFlow ops by name. The rest of the code calls the typed ops in ops/ instead. */
import { binding, type OpAttribute } from './binding.js';
import { DTYPE_NUMBER, type DType, dtypeFromNumber } from './dtype.js';
import { multiplyAdds } from './multiplyAdds.js';
import { Tensor } from './tensor.js';

/** Makes attributes of ops. */
export const attribute = {
  type: (name: string, dtype: DType): OpAttribute => ({
    name,
    type: binding().TF_ATTR_TYPE,
    value: DTYPE_NUMBER[dtype],
  }),
  /** One integer or a list of them. */
  int: (name: string, value: number | readonly number[]): OpAttribute => ({
    name,
    type: binding().TF_ATTR_INT,
    value,
  }),
  float: (name: string, value: number): OpAttribute => ({
    name,
    type: binding().TF_ATTR_FLOAT,
    value,
  }),
  bool: (name: string, value: boolean): OpAttribute => ({
    name,
    type: binding().TF_ATTR_BOOL,
    value,
  }),
  string: (name: string, value: string): OpAttribute => ({
    name,
    type: binding().TF_ATTR_STRING,
    value,
  }),
  shape: (name: string, value: readonly number[]): OpAttribute => ({
    name,
    type: binding().TF_ATTR_SHAPE,
    value,
  }),
};

/** Calls of an op, time spent in it and its multiply-adds since the profile was started. */
export interface OpProfile {
  readonly calls: number;
  readonly milliseconds: number;
  /** Of products and convolutions; 0 for other ops. */
  readonly multiplyAdds: number;
}

let profile: Map<string, { -readonly [key in keyof OpProfile]: OpProfile[key] }> | undefined;

/** Starts to profile all ops by name. Only valid on the CPU, where ops run synchronously. */
export function startProfile(): void {
  profile = new Map();
}

/** Ends the profile and returns its sums, keyed by op. */
export function stopProfile(): ReadonlyMap<string, OpProfile> {
  const result = profile ?? new Map();
  profile = undefined;
  return result;
}

/** Runs an op and returns all its outputs. Errors name the op and the shapes of its inputs. */
export function executeAll(
  op: string,
  inputs: readonly Tensor[],
  attributes: readonly OpAttribute[],
  outputs: number,
): Tensor[] {
  const ids = inputs.map((input) => input.id);
  const begin = profile === undefined ? 0 : performance.now();
  let infos: ReturnType<ReturnType<typeof binding>['executeOp']>;
  try {
    infos = binding().executeOp(op, attributes as OpAttribute[], ids, outputs);
  } catch (error) {
    const shapes = inputs.map((input) => `${input.dtype}[${input.shape}]`).join(', ');
    throw new Error(`${op}(${shapes}): ${(error as Error).message}`);
  }
  if (profile !== undefined) {
    const milliseconds = performance.now() - begin;
    const entry = profile.get(op) ?? { calls: 0, milliseconds: 0, multiplyAdds: 0 };
    entry.calls += 1;
    entry.milliseconds += milliseconds;
    const shapes = inputs.map(({ shape }) => shape);
    entry.multiplyAdds += multiplyAdds(op, shapes, infos[0]?.shape ?? []);
    profile.set(op, entry);
  }
  return infos.map((info) => new Tensor(info.id, info.shape, dtypeFromNumber(info.dtype)));
}

/** Runs an op with one output. */
export function execute(
  op: string,
  inputs: readonly Tensor[],
  attributes: readonly OpAttribute[],
): Tensor {
  return executeAll(op, inputs, attributes, 1)[0]!;
}
