/** TensorFlow's resource variables, whose memory ops write in place. */
import { attribute, execute, executeAll } from './execute.js';
import type { Tensor } from './tensor.js';

/** TensorFlow's reserved name for anonymous resources; named ones would stay in its caches. */
const NAMELESS = 'cd2c89b7-88b7-44c8-ad83-06c2a9158347';

/** Makes a float32 variable without a value; returns its handle, held. */
export function makeVariable(shape: readonly number[]): Tensor {
  return execute(
    'VarHandleOp',
    [],
    [
      attribute.type('dtype', 'float32'),
      attribute.shape('shape', shape),
      attribute.string('container', ''),
      attribute.string('shared_name', NAMELESS),
    ],
  ).hold();
}

/** Frees a variable and its handle; may be called more than once. */
export function destroyVariable(handle: Tensor): void {
  if (handle.disposed) return;
  executeAll('DestroyResourceOp', [handle], [attribute.bool('ignore_lookup_error', true)], 0);
  handle.free();
}
