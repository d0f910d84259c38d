/** Faults and notes of the student's config that no single key has. */
import type { CrossFault } from './fields.js';
import type { StudentConfig } from './student.js';

/** Terms that need a teacher. */
const TEACHER_TERMS = ['logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region'] as const;

export function studentCrossFaults(config: StudentConfig): CrossFault[] {
  return [...batchFaults(config), ...scheduleFaults(config), ...datasetFaults(config)];
}

/**
 * What a user should know about a right config: terms that are ignored for want of a teacher.
 * For the log; nothing here stops a run.
 */
export function studentConfigNotes(config: StudentConfig): string[] {
  if (config.teacher.addresses.length > 0) return [];
  const ignored = TEACHER_TERMS.filter((term) => config.loss.weights[term] > 0);
  if (ignored.length === 0) return [];
  const keys = ignored.map((term) => `loss.weights.${term}`).join(', ');
  return [`teacher.addresses is empty: trained on labels alone, ${keys} ignored`];
}

function batchFaults(config: StudentConfig): CrossFault[] {
  const { batchSize } = config.train;
  const { minibatchGroup } = config.loss;
  const faults: CrossFault[] = [];
  if (batchSize === 1) {
    faults.push({
      keys: ['train.batchSize', 'student.model'],
      message:
        `got 1, wanted at least 2: ${config.student.model} pools over the whole image, and ` +
        'batch norm after that has a single value (train.accumulateSteps does not help)',
    });
  }
  if (minibatchGroup > 0 && batchSize % minibatchGroup !== 0) {
    faults.push({
      keys: ['loss.minibatchGroup', 'train.batchSize'],
      message: `got ${minibatchGroup}, wanted a divisor of train.batchSize (${batchSize}), or 0`,
    });
  }
  return faults;
}

function scheduleFaults(config: StudentConfig): CrossFault[] {
  const { steps, warmupSteps } = config.train;
  const { min, max } = config.data.scale;
  const faults: CrossFault[] = [];
  if (warmupSteps >= steps) {
    faults.push({
      keys: ['train.warmupSteps', 'train.steps'],
      message: `got ${warmupSteps}, wanted less than train.steps (${steps})`,
    });
  }
  if (min > max) {
    faults.push({
      keys: ['data.scale.min', 'data.scale.max'],
      message: `got ${min}, wanted at most data.scale.max (${max})`,
    });
  }
  if (Object.values(config.loss.weights).every((weight) => weight === 0)) {
    faults.push({
      keys: ['loss.weights'],
      message: 'got 0 for every term, wanted at least one above 0',
    });
  } else if (config.teacher.addresses.length === 0 && config.loss.weights.task === 0) {
    faults.push({
      keys: ['loss.weights.task', 'teacher.addresses'],
      message: 'got 0, wanted more than 0: without teacher.addresses no other term is there',
    });
  }
  return faults;
}

function datasetFaults(config: StudentConfig): CrossFault[] {
  const { train, val } = config.data;
  if (train.kind !== val.kind) {
    return [
      {
        keys: ['data.val.kind', 'data.train.kind'],
        message: `got ${val.kind}, wanted the classes of data.train, kind ${train.kind}`,
      },
    ];
  }
  if (train.kind === 'synthetic' && val.kind === 'synthetic' && train.seed === val.seed) {
    return [
      {
        keys: ['data.val.seed', 'data.train.seed'],
        message: `got ${val.seed}, wanted another seed than data.train.seed: scenes would be shared`,
      },
    ];
  }
  return [];
}
