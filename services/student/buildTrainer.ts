/** From a config to the parts that train: network, projection head, banks, objective, optimizer. */
import type { StudentConfig } from '../../src/config/student.js';
import { Objective } from '../../src/distill/objective.js';
import { type ObjectiveSettings, rowsPerClass } from '../../src/distill/settings.js';
import { FEATURE_TERMS, type TermWeights } from '../../src/contract/terms.js';
import { drawnChoices } from '../../src/memory/choices.js';
import type { BankOptions } from '../../src/memory/memoryBank.js';
import { PixelMemoryBank } from '../../src/memory/pixelMemoryBank.js';
import { RegionMemoryBank } from '../../src/memory/regionMemoryBank.js';
import { initialWeights } from '../../src/models/initialise.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { ProjectionHead } from '../../src/models/projectionHead.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import { drawSeed64, drawsFor } from '../../src/random/draws.js';
import { Sgd } from '../../src/train/sgd.js';
import { Trainer, type TrainerParts } from '../../src/train/trainer.js';

export interface TrainerInput {
  readonly config: StudentConfig;
  readonly classes: number;
  /** Channels of the teacher's embedding; 0: it gives none; null: labels alone. */
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
    optimizer: new Sgd(parameters, train),
    schedule: train,
    dropoutSeed: train.dropout ? dropoutSeeds(seed) : null,
    draws: (step, microBatch) => drawnChoices(seed, step, microBatch),
  };
  return new Trainer(parts);
}

/** Layers of one pass are told apart by their number; a network has far fewer than this. */
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
    tiling: { lossMemoryMiB: loss.lossMemoryMiB },
    pixelContrastRows: rowsPerClass(memory.pixelContrastSize, classes),
    regionContrastRows: rowsPerClass(memory.regionContrastSize, classes),
    pixelUpdateFreq: memory.pixelUpdateFreq,
    memoryStartStep: memory.startStep,
    pixelEnqueue: reference.pixelEnqueue,
    allIgnored: reference.allIgnored,
  };
}

/** Terms that this teacher can't have count nothing: they have no bank and no head either. */
function weightsFor(weights: TermWeights, teacherChannels: number | null): TermWeights {
  const noFeature = Object.fromEntries(FEATURE_TERMS.map((term) => [term, 0]));
  if (teacherChannels === null) return { ...weights, ...noFeature, logits_kd: 0 };
  return teacherChannels === 0 ? { ...weights, ...noFeature } : weights;
}
