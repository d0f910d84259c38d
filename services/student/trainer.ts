/**
 * The trainer of a config: network, projection head, banks, objective, optimizer; and what training changes of
 * it, as the files of a checkpoint and back.
 */
import type { StudentConfig } from '../../src/config/student.js';
import { Objective } from '../../src/distill/objective.js';
import { type ObjectiveSettings, rowsPerClass } from '../../src/distill/settings.js';
import type { OhemOptions } from '../../src/losses/hardPixels.js';
import { FEATURE_TERMS, type TermWeights } from '../../src/contract/terms.js';
import { drawnChoices } from '../../src/memory/choices.js';
import type { BankOptions } from '../../src/memory/memoryBank.js';
import { PixelMemoryBank } from '../../src/memory/pixelMemoryBank.js';
import { RegionMemoryBank } from '../../src/memory/regionMemoryBank.js';
import { writeModelMetadata } from '../../src/models/files/modelFile.js';
import { initialWeights } from '../../src/models/initialise.js';
import type { ModelState } from '../../src/models/modelState.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { ProjectionHead } from '../../src/models/projectionHead.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import { originOf } from '../../src/models/zoo.js';
import { drawSeed64, drawsFor } from '../../src/random/draws.js';
import { type Parameter, scope } from '../../src/tensor/index.js';
import { AdamW } from '../../src/train/adamW.js';
import type { Optimizer } from '../../src/train/optimizer.js';
import { Sgd } from '../../src/train/sgd.js';
import { Trainer, type TrainerParts } from '../../src/train/trainer.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import type { NamedTensor } from '../../src/wire/safetensors.js';
import type { ComputeSetup, StateFile, StateFiles } from './computeProtocol.js';

export interface TrainerInput {
  readonly config: StudentConfig;
  readonly classes: number;
  /** Channels of the teacher's embedding; 0: it gives none; null: no teacher. */
  readonly teacherChannels: number | null;
}

export function studentSpec(config: StudentConfig, classes: number): NetworkSpec {
  const { model, backbone, variant, widthMultiplier } = config.student;
  return { model, backbone, variant, numClasses: classes, widthMultiplier };
}

export function buildTrainer({ config, classes, teacherChannels }: TrainerInput): Trainer {
  const { seed, train } = config;
  const weights = initialWeights(seed);
  const network = SegmentationNetwork.create(studentSpec(config, classes), weights);
  const objective = buildObjective(config, network, teacherChannels);
  const projectionHead =
    teacherChannels !== null && objective.usesMemory
      ? ProjectionHead.create(network.featureChannels, teacherChannels, weights)
      : null;
  const parameters = [...network.parameters(), ...(projectionHead?.parameters() ?? [])];
  const parts: TrainerParts = {
    network,
    projectionHead,
    objective,
    optimizer: optimizerOf(config, parameters, originOf(network.spec.model).names.backbone),
    schedule: train,
    dropoutSeed: train.dropout ? dropoutSeeds(seed) : null,
    draws: (step, microBatch) => drawnChoices(seed, step, microBatch),
  };
  return new Trainer(parts);
}

function optimizerOf(
  { train }: StudentConfig,
  parameters: readonly Parameter[],
  backbone: string,
): Optimizer {
  if (train.optimizer === 'sgd') return new Sgd(parameters, train);
  return new AdamW(parameters, train, ({ name, shape }) => ({
    rateFactor: name.startsWith(`${backbone}.`) ? 1 : train.headRateFactor,
    // Biases, and scales and shifts of norms, are vectors.
    isDecayed: train.decayVectors || shape.length > 1,
  }));
}

/** Layers of one pass are distinguished by number; a network has far fewer than this. */
const LAYERS_PER_PASS = 1024;

function dropoutSeeds(seed: number): TrainerParts['dropoutSeed'] {
  return (step, microBatch, layer) => {
    const bits = drawSeed64(seed, 'dropout', step, microBatch * LAYERS_PER_PASS + layer);
    return [Number(BigInt.asIntN(32, bits)), Number(BigInt.asIntN(32, bits >> 32n))];
  };
}

function buildObjective(
  config: StudentConfig,
  network: SegmentationNetwork,
  teacherChannels: number | null,
): Objective {
  const settings = objectiveSettings(config, network, teacherChannels);
  const { classes } = settings;
  const options = (size: number): BankOptions => ({
    classes,
    size,
    channels: teacherChannels ?? 0,
    precision: config.memory.precision,
    ringWrap: config.reference.ringWrap,
    sampling: config.reference.sampling,
  });
  const { memory_pixel, memory_region } = settings.weights;
  const pixel =
    memory_pixel > 0 ? new PixelMemoryBank(options(config.memory.pixelMemorySize)) : null;
  const region =
    memory_region > 0 ? new RegionMemoryBank(options(config.memory.regionMemorySize)) : null;
  if (config.reference.sampling === 'reference') {
    pixel?.randomize(drawsFor(config.seed, 'init', 1, 0));
    region?.randomize(drawsFor(config.seed, 'init', 1, 1));
  }
  return new Objective(settings, { pixel, region });
}

function objectiveSettings(
  { loss, memory, reference }: StudentConfig,
  { spec: { numClasses: classes }, alignCorners }: SegmentationNetwork,
  teacherChannels: number | null,
): ObjectiveSettings {
  return {
    ...loss,
    weights: weightsFor(loss.weights, teacherChannels),
    classes,
    alignCorners,
    ohem: ohemOptions(loss.ohem),
    tiling: { lossMemoryMiB: loss.lossMemoryMiB },
    pixelContrastRows: rowsPerClass(memory.pixelContrastSize, classes),
    regionContrastRows: rowsPerClass(memory.regionContrastSize, classes),
    pixelUpdateFreq: memory.pixelUpdateFreq,
    memoryStartStep: memory.startStep,
    pixelEnqueue: reference.pixelEnqueue,
    allIgnored: reference.allIgnored,
  };
}

function ohemOptions({ threshold, minKept }: StudentConfig['loss']['ohem']): OhemOptions | null {
  return threshold === null ? null : { threshold, minKept };
}

/** Sets terms that this teacher can't provide to 0, so that they get no bank and no head either. */
function weightsFor(weights: TermWeights, teacherChannels: number | null): TermWeights {
  const noFeature = Object.fromEntries(FEATURE_TERMS.map((term) => [term, 0]));
  if (teacherChannels === null) return { ...weights, ...noFeature, logits_kd: 0 };
  return teacherChannels === 0 ? { ...weights, ...noFeature } : weights;
}

/**
 * Copies of the whole state. `student` is a model file, for evaluation and as a teacher.
 * Throws if an update failed halfway.
 */
export function saveState(
  trainer: Trainer,
  setup: Pick<ComputeSetup, 'config' | 'classNames'>,
): StateFiles {
  trainer.requireWholeState();
  const { network, projectionHead, objective } = trainer.parts;
  const files: StateFiles = {
    student: {
      tensors: network.stateDict(),
      metadata: writeModelMetadata({
        spec: network.spec,
        normalisation: setup.config.student,
        classNames: setup.classNames,
      }),
    },
    optimizer: file(optimizerState(trainer)),
  };
  if (projectionHead !== null) files.projection_head = file(projectionHead.stateDict());
  const { pixel, region } = objective.banks;
  const banks = new Map([...(pixel?.exportState() ?? []), ...(region?.exportState() ?? [])]);
  // A bank returns views of its rows, which the next step overwrites.
  if (banks.size > 0) files.banks = file(copied(banks));
  return files;
}

/** Restores a saved state. Throws CheckpointError if it doesn't belong to this trainer. */
export function loadState(trainer: Trainer, files: StateFiles): void {
  const { network, projectionHead, objective } = trainer.parts;
  network.loadStateDict(need(files, 'student').tensors, { strict: true });
  projectionHead?.loadStateDict(need(files, 'projection_head').tensors, { strict: true });
  loadOptimizer(trainer, need(files, 'optimizer'));
  const { pixel, region } = objective.banks;
  if (pixel === null && region === null) return;
  const banks = need(files, 'banks').tensors;
  try {
    pixel?.importState(banks);
    region?.importState(banks);
  } catch (error) {
    throw new CheckpointError(`banks: ${(error as Error).message}`);
  }
}

/** Every slot of every parameter, with its saved name. */
function optimizerSlots({ parts }: Trainer) {
  return [...parts.optimizer.slots()].flatMap(([prefix, slots]) =>
    [...slots].map(([parameter, slot]) => ({
      name: `${prefix}${parameter.name}`,
      parameter,
      slot,
    })),
  );
}

function optimizerState(trainer: Trainer): Map<string, NamedTensor> {
  const saved = new Map<string, NamedTensor>();
  for (const { name, parameter, slot } of optimizerSlots(trainer)) {
    const state = stateOf(trainer, parameter.name);
    saved.set(
      name,
      scope(() => state.officialLayout(parameter, slot.read())),
    );
  }
  return saved;
}

function loadOptimizer(trainer: Trainer, saved: StateFile): void {
  for (const { name, parameter, slot } of optimizerSlots(trainer)) {
    const tensor = saved.tensors.get(name);
    if (tensor === undefined) throw new CheckpointError(`optimizer: ${name} is missing`);
    const state = stateOf(trainer, parameter.name);
    scope(() => slot.assign(state.nativeLayout(parameter, tensor)));
  }
}

function stateOf({ parts }: Trainer, parameterName: string): ModelState {
  const inHead = parameterName.startsWith('project_head.') && parts.projectionHead !== null;
  return inHead ? parts.projectionHead.state : parts.network.state;
}

function need(files: StateFiles, name: string): StateFile {
  const found = files[name];
  if (found === undefined) throw new CheckpointError(`${name}.safetensors: not in the checkpoint`);
  return found;
}

function copied(tensors: ReadonlyMap<string, NamedTensor>): Map<string, NamedTensor> {
  return new Map([...tensors].map(([name, t]) => [name, { ...t, data: t.data.slice() }]));
}

function file(tensors: Map<string, NamedTensor>): StateFile {
  return { tensors, metadata: {} };
}
