/** The sections of the student trainer's config. */
import { z } from 'zod';
import { teacherAddress } from './addressFields.js';
import { teacherStore } from './answerSections.js';
import { dataSection } from './dataSection.js';
import { distributedSection } from './distributedSection.js';
import { count, field, positive, positiveCount, section, text } from '../fields.js';
import { lossSection, memorySection, referenceSection } from './objectiveSections.js';
import { oipSection } from './oipSection.js';
import { logSection, studentMetricsSection } from './sharedSections.js';
import { teacherTls, teacherTokenFile } from './securitySections.js';
import { trainSection } from './trainSection.js';

const runSection = section('Folder of the run, and intervals of checkpoints and evaluations.', {
  directory: field(text().default('runs'), 'Folder that holds the run folders.', { isPath: true }),
  id: field(
    z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,128}$/)
      .nullable()
      .default(null),
    'Name of the run and of its folder; null: a name made from date and seed.',
    { wanted: '1 to 128 of A-Z a-z 0-9 . _ -, or null' },
  ),
  checkpointEverySteps: field(
    count().default(1000),
    'Steps between checkpoints; 0: only at the end.',
    { unit: 'steps' },
  ),
  keepCheckpoints: field(
    positiveCount().default(3),
    'Number of newest checkpoints that are kept, besides the best one.',
  ),
  evaluateEverySteps: field(count().default(0), 'Steps between evaluations; 0: only at the end.', {
    unit: 'steps',
  }),
  logEverySteps: field(
    positiveCount().default(10),
    'Steps between lines of progress; events.jsonl has every step.',
    {
      unit: 'steps',
    },
  ),
});

const threeNumbers = (type: () => z.ZodNumber) => z.tuple([type(), type(), type()]);

const networkSection = section(
  "The student's network.",
  {
    model: field(
      z
        .enum([
          ...(['deeplabv3', 'psp', 'deeplab_mobile', 'psp_mobile'] as const),
          ...([
            'torchvision_deeplabv3',
            'torchvision_fcn',
            'mmseg_deeplabv3',
            'mmseg_psp',
          ] as const),
          ...(['segformer', 'hf_segformer', 'mmseg_segformer'] as const),
        ])
        .default('deeplabv3'),
      "Segmentation head, in CIRKD's, torchvision's, mmsegmentation's or transformers' (hf_) layout.",
    ),
    backbone: field(
      text().default('resnet18'),
      "Backbone (docs/models.md): mobilenetv2, or resnet18, 34, 50 or 101, with _plain for torchvision's stem and _v1c for mmsegmentation's; SegFormers have mit_b0 to mit_b5.",
    ),
    variant: field(
      z.enum(['v1', 'v2']).default('v1'),
      'v1: as in the CVPR 2022 paper; v2: as in the newest official code.',
    ),
    widthMultiplier: field(positive().max(8).default(1), 'Factor on all channel counts.'),
    weights: field(
      text().nullable().default(null),
      'Initial weights (.safetensors); null: drawn from the seed.',
      { isPath: true },
    ),
    backboneWeights: field(
      text().nullable().default(null),
      "Initial weights of the backbone only: imagenet (for mobilenetv2: torchvision's, downloaded into the cache), or a file (.pth or .safetensors).",
      { isPath: true },
    ),
    backboneWeightsPrefix: field(
      text().nullable().default(null),
      'Prefix of the names in that file: only names with it are used, and it is removed; null: a prefix that all names share is removed.',
    ),
    pixelMean: field(
      threeNumbers(() => z.number()).default([123.675, 116.28, 103.53]),
      'Subtracted from pixels, in channelOrder.',
      { unit: '0..255' },
    ),
    pixelStd: field(
      threeNumbers(positive).default([58.395, 57.12, 57.375]),
      'Divides pixels after pixelMean was subtracted, in channelOrder.',
      { unit: '0..255' },
    ),
    channelOrder: field(
      z.enum(['rgb', 'bgr']).default('rgb'),
      'Order of the channels that the network expects.',
    ),
  },
  { fixed: true },
);

const teacherSection = section('The teachers that the student connects to.', {
  addresses: field(
    z.array(teacherAddress).default([]),
    'Teacher servers; empty: training on labels alone. dns: stands for all addresses that a name resolves to (docs/fleet.md); oip: is a model on a server of another program (docs/oip.md).',
  ),
  lookupIntervalMs: field(
    positiveCount().max(86_400_000).default(5000),
    'Interval at which dns: addresses are resolved; they are also resolved when a teacher is lost.',
    { unit: 'ms' },
  ),
  tokenFile: teacherTokenFile,
  tls: teacherTls,
  digest: field(
    z
      .string()
      .regex(/^(oip:)?sha256:[0-9a-f]{64}$/)
      .nullable()
      .default(null),
    'The only teacher digest that is accepted; null: the digest of the first teacher.',
    { wanted: '"sha256:" (or "oip:sha256:") with 64 hex digits, or null' },
  ),
  encoding: field(
    z.enum(['fp32', 'fp16', 'int8']).default('fp32'),
    'Encoding of features and logits on the wire; fp16 halves the traffic, int8 (with logits in fp16) quarters it.',
    { fixed: true },
  ),
  logits: field(
    z.enum(['sent', 'rebuilt']).default('sent'),
    "sent: the teacher sends logits; rebuilt: the student computes them from the feature with the teacher's last layer, which is sent once.",
    { fixed: true },
  ),
  requestTimeoutMs: field(
    positiveCount().max(86_400_000).default(60_000),
    'Time after which an image is requested again, from another teacher if possible.',
    { unit: 'ms' },
  ),
  teacherTimeoutMs: field(
    positiveCount().max(86_400_000).default(120_000),
    'Time without an answer from any teacher after which the run ends with exit code 3.',
    { unit: 'ms' },
  ),
  maxInflightMiB: field(
    positiveCount().max(1_048_576).default(1024),
    'Limit for answers that are requested and not yet complete, over all teachers.',
    { unit: 'MiB' },
  ),
  prefetchSteps: field(
    count().max(1024).default(2),
    'Number of steps whose images are requested ahead; no influence on the result.',
    { unit: 'steps' },
  ),
  oip: oipSection,
  store: teacherStore,
});

const evaluateSection = section(
  'How a network is judged on data.val: whole images, in one forward pass.',
  {
    pictures: field(count().max(64).default(6), 'Images of data.val drawn for the report.'),
  },
);

export const studentSections = z.strictObject({
  seed: field(
    z.number().int().min(0).max(0xffffffff).default(0),
    'Determines all random draws: order, augmentation, initialisation, dropout, memory banks.',
    { fixed: true },
  ),
  run: runSection,
  data: dataSection,
  student: networkSection,
  teacher: teacherSection,
  train: trainSection,
  distributed: distributedSection,
  loss: lossSection,
  memory: memorySection,
  reference: referenceSection,
  evaluate: evaluateSection,
  metrics: studentMetricsSection,
  log: logSection,
});

export type StudentConfig = z.infer<typeof studentSections>;

/** As it may be written: keys with defaults may be left out. */
export type StudentConfigInput = z.input<typeof studentSections>;
