/** train: the optimizer and its schedule. The defaults are CIRKD's official recipe for Cityscapes. */
import { z } from 'zod';
import { count, field, nonNegative, positive, positiveCount, section } from '../fields.js';

export const trainSection = section(
  'Optimizer and schedule.',
  {
    steps: field(positiveCount(), 'Updates of the weights in the whole run.', { unit: 'steps' }),
    batchSize: field(
      positiveCount().max(4096).default(16),
      'Crops in one forward pass, of all ranks together.',
      {
        unit: 'images',
      },
    ),
    accumulateSteps: field(
      positiveCount().max(4096).default(1),
      'Forward passes whose gradients are averaged into one update.',
    ),
    learningRate: field(positive().default(0.02), 'Learning rate at the start.'),
    optimizer: field(
      z.enum(['sgd', 'adamw']).default('sgd'),
      'sgd: with momentum; adamw: Adam with decoupled weight decay.',
    ),
    momentum: field(z.number().min(0).lt(1).default(0.9), 'Momentum of SGD.'),
    betas: field(
      z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.9, 0.999]),
      'Decay of the means of gradients and of their squares in AdamW.',
    ),
    epsilon: field(positive().default(1e-8), "Added to AdamW's divisor."),
    weightDecay: field(nonNegative().default(1e-4), 'L2 decay of every parameter.'),
    decayVectors: field(
      z.boolean().default(true),
      "Whether AdamW's decay applies to biases and norms, too.",
    ),
    undecayed: field(
      z.array(z.string().min(1)).max(100).default([]),
      "Parts of parameters' names to which AdamW's decay doesn't apply, such as norm.",
    ),
    headRateFactor: field(
      positive().default(1),
      'Factor on the learning rate of everything but the backbone, with AdamW.',
    ),
    polyPower: field(
      nonNegative().default(0.9),
      'The learning rate decays as (1 - step / steps) to this power.',
    ),
    warmupSteps: field(
      count().default(0),
      'Number of first steps in which the learning rate rises linearly.',
      { unit: 'steps' },
    ),
    dropout: field(z.boolean().default(true), "Dropout in the heads, at the networks' rates."),
    recompute: field(
      z.boolean().default(false),
      'Computes normalised maps, activations and pooled maps again in the backward pass instead of keeping them ' +
        'and returns freed memory to the system at once: less memory, more time, the same results bit for bit.',
      { fixed: false },
    ),
    threads: field(
      count().max(1024).default(0),
      'Threads inside one operation; 0: one per core of the machine that starts the run. ' +
        'Affects the last bits of sums.',
    ),
  },
  { fixed: true },
);
