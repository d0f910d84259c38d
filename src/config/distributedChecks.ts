/** Faults of the student's config that concern its ranks. */
import type { CrossFault } from './fields.js';
import type { StudentConfig } from './sections/studentSections.js';

/** Faults of a group, and of what doesn't go with one. */
export function distributedFaults(config: StudentConfig): CrossFault[] {
  const { workers, index, norms } = config.distributed;
  const ranks = workers.length;
  const fault = (keys: CrossFault['keys'], message: string): CrossFault => ({ keys, message });
  if (ranks === 0) {
    if (index === null) return [];
    const message = `got ${index}, wanted null: distributed.workers is empty`;
    return [fault(['distributed.index', 'distributed.workers'], message)];
  }
  const faults: CrossFault[] = [];
  if (index === null || index >= ranks) {
    const message = `got ${index}, wanted 0 to ${ranks - 1}: distributed.workers has ${ranks}`;
    faults.push(fault(['distributed.index', 'distributed.workers'], message));
  }
  const twice = workers.find((address, i) => workers.indexOf(address) !== i);
  if (twice !== undefined) {
    faults.push(fault(['distributed.workers'], `got ${twice} twice, wanted one address per rank`));
  }
  const { batchSize } = config.train;
  const { minibatchGroup } = config.loss;
  const share = batchSize / ranks;
  if (!Number.isInteger(share)) {
    const message = `got ${batchSize}, wanted a multiple of ${ranks}, the number of ranks`;
    faults.push(fault(['train.batchSize', 'distributed.workers'], message));
  } else if (minibatchGroup > 0 && share % minibatchGroup !== 0) {
    const message = `got ${minibatchGroup}, wanted a divisor of ${share}, the crops of one rank, or 0`;
    faults.push(fault(['loss.minibatchGroup', 'distributed.workers'], message));
  } else if (share === 1 && norms === 'rank' && ranks > 1) {
    const message =
      `got ${batchSize}, wanted at least ${2 * ranks}: a rank has one crop, and with ` +
      'distributed.norms: rank a batch norm after pooling has a single value';
    faults.push(fault(['train.batchSize', 'distributed.norms'], message));
  }
  return faults;
}
