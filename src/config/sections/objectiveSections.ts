/** loss, memory, reference: the objective. Defaults: CIRKD, CVPR 2022, and its official trainer. */
import { z } from 'zod';
import type { ChannelTerm, ComparedTerm, WeightedTerm } from '../../contract/terms.js';
import { count, field, nonNegative, positive, positiveCount, section, text } from '../fields.js';

/** Off by default; the official second version's weights are in each meaning. */
const CHANNEL_WEIGHTS = {
  minibatch_channel: compared('CIRKDv2: similarities of channels across the batch', 1),
  memory_channel: compared('CIRKDv2: similarities to rows of the channel bank', 0.1),
  channel_mse: compared("CIRKDv2: mean squared error of the channels' unit maps", 100),
} satisfies Record<ChannelTerm, unknown>;

/** Off by default; the official scripts' weights are in each meaning. */
const COMPARED_WEIGHTS = {
  attention_transfer: compared("AT: attention maps of the features' energies", 10_000),
  fitnet: compared('FitNet: mean squared error of the convolved feature', 10),
  skd_pairwise: compared('SKD: similarities of pooled positions', 10),
  skd_holistic: compared('SKD: adversarial, -mean of the discriminator on the logits', 0.001),
  ifvd: compared('IFVD: similarities to the mean feature of the class', 20),
  cwd_feature: compared("CWD: KL of the feature's channels as distributions over positions", 50),
  cwd_logits: compared("CWD: KL of the logits' channels as distributions over positions", 3),
  dsd_psd: compared('DSD, pixel: residual attention maps of feature and logits', 1000),
  dsd_csd: compared('DSD, category: similarities of the classes', 10),
} satisfies Record<ComparedTerm, unknown>;

function compared(meaning: string, official: number) {
  return field(nonNegative().default(0), `${meaning}; official weight ${official}.`);
}

export const lossSection = section(
  'The objective: total = sum of weight * term.',
  {
    weights: section('Weight of each term; 0 switches it off.', {
      task: field(nonNegative().default(1), 'Cross entropy with the labels, aux part included.'),
      logits_kd: field(nonNegative().default(1), "KL of the teacher's and the student's classes."),
      minibatch_pixel: field(nonNegative().default(1), 'Pixel similarities across the batch.'),
      memory_pixel: field(nonNegative().default(0.1), 'Similarities to rows of the pixel bank.'),
      memory_region: field(nonNegative().default(0.1), 'Similarities to rows of the region bank.'),
      ...CHANNEL_WEIGHTS,
      ...COMPARED_WEIGHTS,
    } satisfies Record<WeightedTerm, unknown>),
    auxWeight: field(nonNegative().default(0.4), 'Weight of the auxiliary head inside task.'),
    classWeights: field(
      z.array(nonNegative()).min(2).nullable().default(null),
      "One number per class: factors in the weighted mean of task's pixels; null: 1 each.",
    ),
    classCounts: field(
      text().nullable().default(null),
      'Output of check-data --json for data.train, from which classWeights is computed; null: none.',
      { isPath: true },
    ),
    classWeighting: field(
      z.enum(['log', 'inverse']).default('log'),
      'From the share p of a class in classCounts. log: 1 / ln(1.02 + p) (ENet); inverse: 1 / (K p), K classes.',
    ),
    ohem: section('Online hard example mining: task is the mean over the hardest pixels.', {
      threshold: field(
        z.number().gt(0).lt(1).nullable().default(null),
        'Pixels are hard if the probability of their class is below this; null: all pixels count.',
      ),
      minKept: field(
        positiveCount().default(100_000),
        'Pixels of a forward pass that count at least, the hardest ones.',
        { unit: 'pixels' },
      ),
    }),
    graphConvolution: field(
      z.boolean().default(false),
      "CIRKDv2: the student's feature goes through a trained block of graph convolution before the terms that compare it.",
    ),
    discriminator: section('Training of the discriminator of skd_holistic, with Adam.', {
      kind: field(
        z.enum(['hinge', 'wgan-gp']).default('hinge'),
        "Its loss. hinge: the official CIRKD code's; wgan-gp: that of SKD's own code, with a gradient penalty.",
      ),
      gradientPenalty: field(
        nonNegative().default(10),
        "Factor of the gradient penalty; only wgan-gp has one. SKD's code: 10.",
      ),
      weight: field(positive().default(0.1), 'Factor on its loss, which is not part of total.'),
      learningRate: field(positive().default(4e-4), 'Learning rate at the start.'),
      polyPower: field(
        nonNegative().default(0),
        "Its learning rate decays as (1 - step / steps) to this power; 0: constant, as in the official code (SKD's: 0.9).",
      ),
      betas: field(
        z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.9, 0.99]),
        'Decay of the means of gradients and of their squares.',
      ),
      epsilon: field(positive().default(1e-8), 'Added to the divisor.'),
    }),
    kdTemperature: field(positive().default(1), 'Temperature of logits_kd.'),
    cwdTemperature: field(
      positive().default(4),
      'Temperature of cwd_feature and cwd_logits; 4 as in the official code.',
    ),
    dsdTemperature: field(
      positive().default(4),
      'Temperature of dsd_csd; 4 as in the official code.',
    ),
    contrastTemperature: field(
      positive().default(0.1),
      'Divides the similarities of the terms minibatch_… and memory_….',
    ),
    contrastKdTemperature: field(
      positive().default(1),
      'Temperature of the KL of the terms memory_….',
    ),
    minibatchGroup: field(
      count().default(0),
      'Number of images compared with one another in minibatch_pixel and minibatch_channel; 0: the whole batch.',
      { unit: 'images' },
    ),
    minibatchPooling: field(
      z.enum(['auto', 'never']).default('auto'),
      'auto: features of at least 256 x 256 are first average-pooled by 4 x 4 (official v2).',
    ),
    lossMemoryMiB: field(
      positiveCount().max(1_048_576).default(192),
      'Memory for similarities. Determines how many are kept instead of computed twice, and the size ' +
        'of tiles, which on a GPU affects the last bits of sums.',
      { unit: 'MiB' },
    ),
    bankProducts: field(
      z.enum(['fp32', 'bf16']).default('fp32'),
      'bf16: on processors with AVX512_BF16 the products with bank rows have factors of bfloat16, with sums ' +
        'in fp32, at twice the rate (docs/performance.md has the error). Elsewhere it changes nothing.',
    ),
  },
  { fixed: true },
);

export const memorySection = section(
  'Memory banks of teacher embeddings.',
  {
    pixelMemorySize: field(positiveCount().default(20_000), 'Pixel rows kept per class.', {
      unit: 'rows',
    }),
    regionMemorySize: field(positiveCount().default(2000), 'Region rows kept per class.', {
      unit: 'rows',
    }),
    pixelContrastSize: field(
      positiveCount().default(4096),
      'Pixel rows drawn per forward pass, over all classes: floor(this / classes) + 1 per class.',
      { unit: 'rows' },
    ),
    regionContrastSize: field(
      positiveCount().default(1024),
      'Region rows drawn per forward pass, over all classes: floor(this / classes) + 1 per class.',
      { unit: 'rows' },
    ),
    pixelUpdateFreq: field(
      positiveCount().default(16),
      'Most pixels of one class that one image adds to the pixel bank.',
      { unit: 'rows' },
    ),
    channelMemorySize: field(
      positiveCount().default(10_000),
      "Rows kept in the channel bank; a row is a map of a teacher's channel, pooled by 4 x 4.",
      { unit: 'rows' },
    ),
    channelContrastSize: field(
      positiveCount().default(2048),
      'Rows of the channel bank drawn per forward pass.',
      { unit: 'rows' },
    ),
    channelUpdateFreq: field(
      positiveCount().default(256),
      'Most channels that one batch adds to the channel bank.',
      { unit: 'rows' },
    ),
    precision: field(
      z.enum(['fp32', 'fp16']).default('fp32'),
      'Precision of stored rows; fp16 halves the memory.',
    ),
    startStep: field(
      count().default(0),
      'First step with the terms memory_pixel, memory_region and memory_channel; earlier steps only fill the banks.',
      { unit: 'steps' },
    ),
  },
  { fixed: true },
);

export const referenceSection = section(
  'Reproduces defects of the official code; off by default. docs/parity.md explains each.',
  {
    pixelEnqueue: field(
      z.enum(['class', 'reference']).default('class'),
      'reference: the positions drawn for a class are used as positions in the whole image.',
    ),
    ringWrap: field(
      z.enum(['ring', 'reference']).default('ring'),
      'reference: rows that would reach the end of a bank overwrite its last rows.',
    ),
    allIgnored: field(
      z.enum(['zero', 'nan']).default('zero'),
      'nan: a batch without a labelled pixel gives NaN.',
    ),
    sampling: field(
      z.enum(['filled', 'reference']).default('filled'),
      'reference: one permutation of all rows, filled or not, is used for every class.',
    ),
  },
  { fixed: true },
);
