/**
 * The trainer of a config: network, projection head, the terms' convolutions, banks, objective, optimizer; and what training changes of
 * it, as the files of a checkpoint and back.
 */
import type { StudentConfig } from '../../src/config/student.js';
import { Objective } from '../../src/distill/objective.js';
import { type ObjectiveSettings, rowsPerClass } from '../../src/distill/settings.js';
import { OUTPUT_STRIDE } from '../../src/contract/teacherInfo.js';
import {
  CONVOLVED_TERMS,
  FEATURE_TERMS,
  TEACHER_TERMS,
  type TeacherTerm,
  type TermWeights,
} from '../../src/contract/terms.js';
import { CHANNEL_POOLING } from '../../src/losses/channel/channelRows.js';
import { ChannelMemoryBank, drawnChannelChoices } from '../../src/memory/channelMemoryBank.js';
import { drawnChoices } from '../../src/memory/choices.js';
import type { BankOptions } from '../../src/memory/memoryBank.js';
import { PixelMemoryBank } from '../../src/memory/pixelMemoryBank.js';
import { RegionMemoryBank } from '../../src/memory/regionMemoryBank.js';
import { writeModelMetadata } from '../../src/models/files/modelFile.js';
import type { WeightSource } from '../../src/models/builder.js';
import { initialWeights } from '../../src/models/initialise.js';
import type { ModelState } from '../../src/models/modelState.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { ProjectionHead } from '../../src/models/projectionHead.js';
import { TERM_CONVOLUTIONS, TermConvolutions } from '../../src/models/termConvolutions.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import { drawSeed64, drawsFor } from '../../src/random/draws.js';
import { scope } from '../../src/tensor/index.js';
import { Sgd } from '../../src/train/sgd.js';
import { Trainer, type TrainerParts } from '../../src/train/trainer.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import type { NamedTensor } from '../../src/wire/safetensors.js';
import type { ComputeSetup, StateFile, StateFiles } from './computeProtocol.js';

/** The file of the channel terms' projection head. */
const CHANNEL_HEAD = 'channel_projection_head';

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
  const termConvolutions = buildConvolutions(objective, network, teacherChannels ?? 0, weights);
  const channelHead = objective.usesChannels
    ? ProjectionHead.create(
        network.featureChannels,
        teacherChannels ?? 0,
        weights,
        'channel_project_head',
      )
    : null;
  const parameters = [network, projectionHead, channelHead, termConvolutions].flatMap(
    (part) => part?.parameters() ?? [],
  );
  const parts: TrainerParts = {
    network,
    projectionHead,
    channel:
      channelHead === null
        ? null
        : {
            head: channelHead,
            choices: (step, microBatch) => drawnChannelChoices(seed, step, microBatch),
          },
    termConvolutions,
    objective,
    optimizer: new Sgd(parameters, train),
    schedule: train,
    dropoutSeed: train.dropout ? dropoutSeeds(seed) : null,
    draws: (step, microBatch) => drawnChoices(seed, step, microBatch),
  };
  return new Trainer(parts);
}

/** CWD's term has a convolution only between features of different width, like the official code. */
function buildConvolutions(
  { settings: { weights } }: Objective,
  { featureChannels }: SegmentationNetwork,
  teacherChannels: number,
  source: WeightSource,
): TermConvolutions | null {
  const terms = CONVOLVED_TERMS.filter(
    (term) => weights[term] > 0 && (term === 'fitnet' || featureChannels !== teacherChannels),
  );
  if (terms.length === 0) return null;
  return new TermConvolutions(terms, featureChannels, teacherChannels, source);
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
  const { memory_pixel, memory_region, memory_channel } = settings.weights;
  const pixel =
    memory_pixel > 0 ? new PixelMemoryBank(options(config.memory.pixelMemorySize)) : null;
  const region =
    memory_region > 0 ? new RegionMemoryBank(options(config.memory.regionMemorySize)) : null;
  const channel = memory_channel > 0 ? channelBank(config) : undefined;
  if (config.reference.sampling === 'reference') {
    pixel?.randomize(drawsFor(config.seed, 'init', 1, 0));
    region?.randomize(drawsFor(config.seed, 'init', 1, 1));
    channel?.randomize(drawsFor(config.seed, 'init', 1, 2));
  }
  return new Objective(settings, { pixel, region, ...(channel === undefined ? {} : { channel }) });
}

function channelBank({ memory, reference, data: { crop } }: StudentConfig): ChannelMemoryBank {
  const length = (pixels: number) => Math.ceil(Math.ceil(pixels / OUTPUT_STRIDE) / CHANNEL_POOLING);
  return new ChannelMemoryBank({
    size: memory.channelMemorySize,
    positions: length(crop.height) * length(crop.width),
    precision: memory.precision,
    ringWrap: reference.ringWrap,
    sampling: reference.sampling,
  });
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
    tiling: { lossMemoryMiB: loss.lossMemoryMiB },
    pixelContrastRows: rowsPerClass(memory.pixelContrastSize, classes),
    regionContrastRows: rowsPerClass(memory.regionContrastSize, classes),
    channelContrastRows: memory.channelContrastSize,
    channelUpdateFreq: memory.channelUpdateFreq,
    pixelUpdateFreq: memory.pixelUpdateFreq,
    memoryStartStep: memory.startStep,
    pixelEnqueue: reference.pixelEnqueue,
    allIgnored: reference.allIgnored,
  };
}

/** Sets terms that this teacher can't provide to 0, so that they get no bank and no head either. */
function weightsFor(weights: TermWeights, teacherChannels: number | null): TermWeights {
  const without = (terms: readonly TeacherTerm[]): TermWeights => ({
    ...weights,
    ...Object.fromEntries(terms.map((term) => [term, 0])),
  });
  if (teacherChannels === null) return without(TEACHER_TERMS);
  return teacherChannels === 0 ? without(FEATURE_TERMS) : weights;
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
  const { network, projectionHead, channel, termConvolutions, objective } = trainer.parts;
  const files: StateFiles = {
    student: {
      tensors: network.stateDict(),
      metadata: writeModelMetadata({
        spec: network.spec,
        normalisation: setup.config.student,
        classNames: setup.classNames,
      }),
    },
    optimizer: file(velocities(trainer)),
  };
  if (projectionHead !== null) files.projection_head = file(projectionHead.stateDict());
  if (channel !== null) files[CHANNEL_HEAD] = file(channel.head.stateDict());
  if (termConvolutions !== null) files[TERM_CONVOLUTIONS] = file(termConvolutions.stateDict());
  const { pixel, region, channel: channelRows } = objective.banks;
  const banks = new Map<string, NamedTensor>();
  for (const bank of [pixel, region, channelRows]) {
    for (const [name, tensor] of bank?.exportState() ?? []) banks.set(name, tensor);
  }
  // A bank returns views of its rows, which the next step overwrites.
  if (banks.size > 0) files.banks = file(copied(banks));
  return files;
}

/** Restores a saved state. Throws CheckpointError if it doesn't belong to this trainer. */
export function loadState(trainer: Trainer, files: StateFiles): void {
  const { network, projectionHead, channel, termConvolutions, objective } = trainer.parts;
  network.loadStateDict(need(files, 'student').tensors, { strict: true });
  projectionHead?.loadStateDict(need(files, 'projection_head').tensors, { strict: true });
  channel?.head.loadStateDict(need(files, CHANNEL_HEAD).tensors, { strict: true });
  termConvolutions?.loadStateDict(need(files, TERM_CONVOLUTIONS).tensors, { strict: true });
  loadVelocities(trainer, need(files, 'optimizer'));
  const { pixel, region, channel: channelRows } = objective.banks;
  const used = [pixel, region, channelRows].filter((bank) => bank !== null && bank !== undefined);
  if (used.length === 0) return;
  const banks = need(files, 'banks').tensors;
  try {
    for (const bank of used) bank.importState(banks);
  } catch (error) {
    throw new CheckpointError(`banks: ${(error as Error).message}`);
  }
}

function velocities(trainer: Trainer): Map<string, NamedTensor> {
  const saved = new Map<string, NamedTensor>();
  for (const [parameter, velocity] of trainer.parts.optimizer.velocities()) {
    const state = stateOf(trainer, parameter.name);
    saved.set(
      parameter.name,
      scope(() => state.officialLayout(parameter, velocity.read())),
    );
  }
  return saved;
}

function loadVelocities(trainer: Trainer, saved: StateFile): void {
  for (const [parameter, velocity] of trainer.parts.optimizer.velocities()) {
    const tensor = saved.tensors.get(parameter.name);
    if (tensor === undefined) {
      throw new CheckpointError(`optimizer: velocity of ${parameter.name} is missing`);
    }
    const state = stateOf(trainer, parameter.name);
    scope(() => velocity.assign(state.nativeLayout(parameter, tensor)));
  }
}

function stateOf({ parts }: Trainer, parameterName: string): ModelState {
  const { network, projectionHead, channel, termConvolutions } = parts;
  const isIn = (part: string) => parameterName.startsWith(`${part}.`);
  if (isIn('project_head') && projectionHead !== null) return projectionHead.state;
  if (isIn('channel_project_head') && channel !== null) return channel.head.state;
  if (isIn(TERM_CONVOLUTIONS) && termConvolutions !== null) return termConvolutions.state;
  return network.state;
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
