/** TensorFlow counts the machine's cores and knows nothing of a container's quota. */
import { availableParallelism } from 'node:os';
import { availableCores } from '../../src/threads/availableCores.js';

/**
 * Limits the threads inside one operation to the cores of the quota, if there is one. Call it before TensorFlow is
 * opened; TF_NUM_INTRAOP_THREADS takes precedence if it is set.
 */
export function followCpuQuota(): void {
  const cores = availableCores();
  if (cores < availableParallelism()) process.env.TF_NUM_INTRAOP_THREADS ??= String(cores);
}
