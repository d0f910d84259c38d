/** Faults and notes of the student's config that no single key has. */
import { TEACHER_TERMS } from '../contract/terms.js';
import { distributedFaults } from './distributedChecks.js';
import type { CrossFault } from './fields.js';
import { oipFaults } from './sections/oipSection.js';
import { teacherFaults } from './sections/securitySections.js';
import type { StudentConfig } from './sections/studentSections.js';

/** Backbones with `student.backboneWeights: imagenet` (services/setup/pins.mjs has the files). */
export const IMAGENET_BACKBONES: readonly string[] = ['mobilenetv2'];

export function studentCrossFaults(config: StudentConfig): CrossFault[] {
  return [
    ...weightFaults(config),
    ...batchFaults(config),
    ...scheduleFaults(config),
    ...datasetFaults(config),
    ...cropFaults(config),
    ...teacherFaults(config.teacher),
    ...oipFaults(config.teacher),
    ...distributedFaults(config),
  ];
}

/**
 * Notes for the log about a valid config: what is ignored because there is no teacher. None of them
 * stops a run.
 */
export function studentConfigNotes(config: StudentConfig): string[] {
  if (config.teacher.addresses.length > 0) return [];
  return [...ignoredTerms(config), ...ignoredStore(config)];
}

function ignoredStore({ teacher: { store } }: StudentConfig): string[] {
  if (store.directory === null) return [];
  return ['teacher.addresses is empty: teacher.store.directory ignored'];
}

function ignoredTerms(config: StudentConfig): string[] {
  const ignored = TEACHER_TERMS.filter((term) => config.loss.weights[term] > 0);
  if (ignored.length === 0) return [];
  const keys = ignored.map((term) => `loss.weights.${term}`).join(', ');
  return [`teacher.addresses is empty: trained on labels alone, ${keys} ignored`];
}

function weightFaults({ student }: StudentConfig): CrossFault[] {
  const { weights, backboneWeights, backboneWeightsPrefix } = student;
  const faults: CrossFault[] = [];
  if (weights !== null && backboneWeights !== null) {
    faults.push({
      keys: ['student.backboneWeights', 'student.weights'],
      message: `got ${backboneWeights}, wanted null: student.weights contains the backbone's weights`,
    });
  }
  if (backboneWeightsPrefix !== null && (backboneWeights === null || isNamed(student))) {
    faults.push({
      keys: ['student.backboneWeightsPrefix', 'student.backboneWeights'],
      message: `got ${backboneWeightsPrefix}, wanted null: student.backboneWeights is ${backboneWeights}, not a file`,
    });
  }
  return [...faults, ...(isNamed(student) ? namedBackboneFaults(student) : [])];
}

function isNamed({ backboneWeights }: StudentConfig['student']): boolean {
  return backboneWeights === 'imagenet';
}

function namedBackboneFaults({
  backbone,
  widthMultiplier,
}: StudentConfig['student']): CrossFault[] {
  const faults: CrossFault[] = [];
  if (!IMAGENET_BACKBONES.includes(backbone)) {
    faults.push({
      keys: ['student.backboneWeights', 'student.backbone'],
      message:
        `got imagenet, wanted the path of a file for ${backbone}: ` +
        `imagenet is available for ${IMAGENET_BACKBONES.join(', ')}`,
    });
  }
  if (widthMultiplier !== 1) {
    faults.push({
      keys: ['student.widthMultiplier', 'student.backboneWeights'],
      message: `got ${widthMultiplier}, wanted 1: the imagenet weights are for full width`,
    });
  }
  return faults;
}

/** Without random crops there is nothing to have several of. */
function cropFaults({ data: { augmentation, fixedCrops } }: StudentConfig): CrossFault[] {
  if (augmentation === 'random' || fixedCrops === 0) return [];
  return [
    {
      keys: ['data.fixedCrops', 'data.augmentation'],
      message: `got ${fixedCrops}, wanted 0: with data.augmentation: off each sample has a single crop`,
    },
  ];
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

/** SGD is the official trainer's: one rate, and every parameter decays. */
function adamWFaults({ train }: StudentConfig): CrossFault[] {
  if (train.optimizer === 'adamw') return [];
  const fault = (key: string, message: string): CrossFault => ({
    keys: [`train.${key}`, 'train.optimizer'],
    message: `${message}, which train.optimizer: sgd doesn't have`,
  });
  return [
    ...(train.decayVectors ? [] : [fault('decayVectors', 'got false, wanted true')]),
    ...(train.undecayed.length === 0
      ? []
      : [fault('undecayed', `got ${JSON.stringify(train.undecayed)}, wanted none`)]),
    ...(train.headRateFactor === 1
      ? []
      : [fault('headRateFactor', `got ${train.headRateFactor}, wanted 1`)]),
  ];
}

function scheduleFaults(config: StudentConfig): CrossFault[] {
  const { steps, warmupSteps } = config.train;
  const { min, max } = config.data.scale;
  const faults: CrossFault[] = adamWFaults(config);
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
      message: 'got 0, wanted more than 0: without teacher.addresses there is no other term',
    });
  }
  return faults;
}

function datasetFaults(config: StudentConfig): CrossFault[] {
  const { train, val } = config.data;
  const faults = labelFaults(config);
  // A folder may have any classes, which are compared when its files are opened.
  if (train.kind !== val.kind && train.kind !== 'folder' && val.kind !== 'folder') {
    faults.push({
      keys: ['data.val.kind', 'data.train.kind'],
      message: `got ${val.kind}, wanted the classes of data.train, kind ${train.kind}`,
    });
  }
  if (train.kind === 'synthetic' && val.kind === 'synthetic' && train.seed === val.seed) {
    faults.push({
      keys: ['data.val.seed', 'data.train.seed'],
      message: `got ${val.seed}, wanted another seed than data.train.seed: scenes would be shared`,
    });
  }
  return faults;
}

/** Faults of label sources that aren't available. */
function labelFaults({ data: { train, val }, teacher }: StudentConfig): CrossFault[] {
  const faults: CrossFault[] = [];
  if (train.labels === 'teacher' && teacher.addresses.length === 0) {
    faults.push({
      keys: ['data.train.labels', 'teacher.addresses'],
      message: 'got teacher, wanted file: teacher.addresses is empty, so there are no labels',
    });
  }
  const wanted = 'got null, wanted the folder of its label PNGs';
  if (train.kind === 'folder' && train.labels === 'file' && train.labelFolder === null) {
    faults.push({
      keys: ['data.train.labelFolder', 'data.train.labels'],
      message: `${wanted}, or data.train.labels: teacher`,
    });
  }
  if (val.kind === 'folder' && val.labelFolder === null) {
    faults.push({ keys: ['data.val.labelFolder'], message: wanted });
  }
  return faults;
}
