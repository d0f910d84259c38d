/** The trainer of a config: network, projection heads, the terms' convolutions, adversary, banks, objective, optimizer. */
import type { Collective } from '../../src/collectives/collective.js';
import { singleProcess } from '../../src/collectives/single.js';
import { ConfigError } from '../../src/config/configError.js';
import type { StudentConfig } from '../../src/config/student.js';
import {
  CONVOLVED_TERMS,
  FEATURE_TERMS,
  TEACHER_TERMS,
  type TeacherTerm,
  type TermWeights,
} from '../../src/contract/terms.js';
import { Objective } from '../../src/distill/objective.js';
import { type ObjectiveSettings, rowsPerClass } from '../../src/distill/settings.js';
import { CHANNEL_POOLING } from '../../src/losses/channel/channelRows.js';
import type { OhemOptions } from '../../src/losses/hardPixels.js';
import { bankBytes, MOST_BANK_BYTES } from '../../src/memory/bankLimit.js';
import { ChannelMemoryBank, drawnChannelChoices } from '../../src/memory/channelMemoryBank.js';
import { drawnChoices } from '../../src/memory/choices.js';
import type { BankOptions } from '../../src/memory/memoryBank.js';
import { PixelMemoryBank } from '../../src/memory/pixelMemoryBank.js';
import { RegionMemoryBank } from '../../src/memory/regionMemoryBank.js';
import type { WeightSource } from '../../src/models/builder.js';
import { GraphConvolution } from '../../src/models/graphConvolution.js';
import { initialWeights } from '../../src/models/initialise.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { ProjectionHead } from '../../src/models/projectionHead.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import { TermConvolutions } from '../../src/models/termConvolutions.js';
import { outputStrideOf } from '../../src/models/zoo.js';
import { drawSeed64, drawsFor } from '../../src/random/draws.js';
import { Trainer, type TrainerParts } from '../../src/train/trainer.js';
import { buildAdversary } from './adversary.js';
import { optimizerOf } from './optimizer.js';

export interface TrainerInput {
  readonly config: StudentConfig;
  readonly classes: number;
  /** Channels of the teacher's embedding; 0: it gives none; null: no teacher. */
  readonly teacherChannels: number | null;
  /** Default: this process alone. */
  readonly group?: Collective;
}

export function studentSpec(config: StudentConfig, classes: number): NetworkSpec {
  const { model, backbone, variant, widthMultiplier } = config.student;
  return { model, backbone, variant, numClasses: classes, widthMultiplier };
}

export function buildTrainer({
  config,
  classes,
  teacherChannels,
  group = singleProcess,
}: TrainerInput): Trainer {
  const { seed, train } = config;
  const weights = initialWeights(seed);
  const network = SegmentationNetwork.create(studentSpec(config, classes), weights);
  const objective = buildObjective(config, network, teacherChannels, group);
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
  const graphConvolution = usesGraphConvolution(config, objective)
    ? new GraphConvolution(network.featureChannels, weights)
    : null;
  const trained = [network, projectionHead, channelHead, termConvolutions, graphConvolution];
  const parameters = trained.flatMap((part) => part?.parameters() ?? []);
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
    ...(graphConvolution === null ? {} : { graphConvolution }),
    adversary: objective.settings.weights.skd_holistic > 0 ? buildAdversary(config, classes) : null,
    objective,
    optimizer: optimizerOf(config, parameters),
    schedule: train,
    dropoutSeed: train.dropout ? dropoutSeeds(seed) : null,
    draws: (step, microBatch) => drawnChoices(seed, step, microBatch),
    norms: config.distributed.norms,
    recompute: train.recompute,
  };
  return new Trainer(parts);
}

/** Without a term that compares features nothing would train it. */
function usesGraphConvolution({ loss }: StudentConfig, { settings }: Objective): boolean {
  return loss.graphConvolution && FEATURE_TERMS.some((term) => settings.weights[term] > 0);
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
  group: Collective,
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
  const ofPixels = memory_pixel > 0 ? options(config.memory.pixelMemorySize) : null;
  const ofRegions = memory_region > 0 ? options(config.memory.regionMemorySize) : null;
  requireRoom([ofPixels, ofRegions].filter((each) => each !== null));
  const pixel = ofPixels === null ? null : new PixelMemoryBank(ofPixels);
  const region = ofRegions === null ? null : new RegionMemoryBank(ofRegions);
  const channel = memory_channel > 0 ? channelBank(config) : undefined;
  if (config.reference.sampling === 'reference') {
    pixel?.randomize(drawsFor(config.seed, 'init', 1, 0));
    region?.randomize(drawsFor(config.seed, 'init', 1, 1));
    channel?.randomize(drawsFor(config.seed, 'init', 1, 2));
  }
  const banks = { pixel, region, ...(channel === undefined ? {} : { channel }) };
  return new Objective(settings, banks, { group, ...config.distributed });
}

/** Throws ConfigError: a run must not find out at its first checkpoint. */
function requireRoom(banks: readonly BankOptions[]): void {
  const bytes = banks.reduce((sum, bank) => sum + bankBytes(bank), 0);
  const [largest] = banks;
  if (largest === undefined || bytes <= MOST_BANK_BYTES) return;
  const { classes, channels, precision } = largest;
  const sizes = banks.map(({ size }) => size).join(' and ');
  const message =
    `got ${sizes} rows for each of ${classes} classes, ${channels} channels in ${precision}: ` +
    `${(bytes / 2 ** 30).toFixed(1)} GiB, wanted less than 4 GiB (memory.precision: fp16 halves it)`;
  throw new ConfigError('memory', [
    { key: 'memory.pixelMemorySize', line: null, override: null, message },
  ]);
}

function channelBank(config: StudentConfig): ChannelMemoryBank {
  const { memory, reference, student } = config;
  const { crop } = config.data;
  const stride = outputStrideOf(student.model);
  const length = (pixels: number) => Math.ceil(Math.ceil(pixels / stride) / CHANNEL_POOLING);
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
    teacherChannels: teacherChannels ?? 0,
    alignCorners,
    ohem: ohemOptions(loss.ohem),
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

function ohemOptions({ threshold, minKept }: StudentConfig['loss']['ohem']): OhemOptions | null {
  return threshold === null ? null : { threshold, minKept };
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
