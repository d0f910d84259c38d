/** The sections of the student trainer's config. */
import { z } from 'zod';
import { dataSection } from './dataSection.js';
import { count, field, positive, positiveCount, section, text } from './fields.js';
import { lossSection, memorySection, referenceSection } from './objectiveSections.js';
import { logSection, studentMetricsSection } from './sharedSections.js';
import { teacherTls, teacherTokenFile } from './securitySections.js';
import { trainSection } from './trainSection.js';

const runSection = section('Where the run lives and how often it stops to look.', {
  directory: field(text().default('runs'), 'Folder that holds the run folders.'),
  id: field(
    z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,128}$/)
      .nullable()
      .default(null),
    'Name of the run and of its folder; null: made from date and seed.',
    { wanted: '1 to 128 of A-Z a-z 0-9 . _ -, or null' },
  ),
  checkpointEverySteps: field(
    count().default(1000),
    'A checkpoint every so often; 0: only at the end.',
    { unit: 'steps' },
  ),
  keepCheckpoints: field(
    positiveCount().default(3),
    'Newest checkpoints kept; the best one stays besides.',
  ),
  evaluateEverySteps: field(
    count().default(0),
    'An evaluation every so often; 0: only at the end.',
    { unit: 'steps' },
  ),
  logEverySteps: field(
    positiveCount().default(10),
    'A line of progress every so often; events.jsonl has every step.',
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
        ])
        .default('deeplabv3'),
      "Segmentation head with its layout: CIRKD's, torchvision's or mmsegmentation's.",
    ),
    backbone: field(
      text().default('resnet18'),
      "Backbone, by its name in docs/models.md: resnet18, 34, 50 or 101, with _plain for torchvision's stem and _v1c for mmsegmentation's, or mobilenetv2.",
    ),
    variant: field(
      z.enum(['v1', 'v2']).default('v1'),
      'v1: as in the CVPR 2022 paper, v2: as in the newest official code.',
    ),
    widthMultiplier: field(positive().max(8).default(1), 'Factor on every channel count.'),
    weights: field(
      text().nullable().default(null),
      'Initial weights (.safetensors); null: drawn from the seed.',
    ),
    backboneWeights: field(
      text().nullable().default(null),
      "Initial weights of the backbone alone: imagenet (mobilenetv2: torchvision's, brought into the cache), or a file (.pth or .safetensors).",
    ),
    backboneWeightsPrefix: field(
      text().nullable().default(null),
      'Only names of that file that begin so are taken, without it; null: what stands before all names goes.',
    ),
    pixelMean: field(
      threeNumbers(() => z.number()).default([123.675, 116.28, 103.53]),
      'Subtracted from a pixel, in channelOrder.',
      { unit: '0..255' },
    ),
    pixelStd: field(
      threeNumbers(positive).default([58.395, 57.12, 57.375]),
      'Divides a pixel after the mean is gone, in channelOrder.',
      { unit: '0..255' },
    ),
    channelOrder: field(
      z.enum(['rgb', 'bgr']).default('rgb'),
      'Order of the channels that the network sees.',
    ),
  },
  { fixed: true },
);

const address = field(
  z.string().regex(/^(unix:\S+|dns:(\/\/[^\s/]*\/)?[^\s/]+:\d{1,5}|(?!dns:)\S+:\d{1,5})$/),
  'One teacher server, or a DNS name that stands for all addresses behind it.',
  { wanted: 'host:port, dns:///host:port, dns://server/host:port or unix:path' },
);

const teacherSection = section('The teachers that the student listens to.', {
  addresses: field(
    z.array(address).default([]),
    'Teacher servers; empty: trained on labels alone. dns: stands for every address behind a name (docs/fleet.md).',
  ),
  lookupIntervalMs: field(
    positiveCount().max(86_400_000).default(5000),
    'A dns: address is looked up so often, and when a teacher is lost.',
    { unit: 'ms' },
  ),
  tokenFile: teacherTokenFile,
  tls: teacherTls,
  digest: field(
    z
      .string()
      .regex(/^sha256:[0-9a-f]{64}$/)
      .nullable()
      .default(null),
    'The only teacher digest accepted; null: that of the first teacher.',
    { wanted: '"sha256:" with 64 hex digits, or null' },
  ),
  encoding: field(
    z.enum(['fp32', 'fp16', 'int8']).default('fp32'),
    'How features and logits travel; fp16 halves the traffic, int8 (logits then in fp16) quarters it.',
    { fixed: true },
  ),
  logits: field(
    z.enum(['sent', 'rebuilt']).default('sent'),
    "sent: logits travel; rebuilt: made here from the feature, with the teacher's last layer, sent once.",
    { fixed: true },
  ),
  requestTimeoutMs: field(
    positiveCount().max(86_400_000).default(60_000),
    'After this an image is asked for again, elsewhere where possible.',
    { unit: 'ms' },
  ),
  teacherTimeoutMs: field(
    positiveCount().max(86_400_000).default(120_000),
    'No answer of any teacher for so long ends the run with exit code 3.',
    { unit: 'ms' },
  ),
  maxInflightMiB: field(
    positiveCount().max(1_048_576).default(1024),
    'Answers asked for and not yet whole, over all teachers, at most.',
    { unit: 'MiB' },
  ),
  prefetchSteps: field(
    count().max(1024).default(2),
    'Steps whose images are asked for while one computes; no influence on the result.',
    { unit: 'steps' },
  ),
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
    'Decides every random draw: order, augmentation, init, dropout, memory banks.',
    { fixed: true },
  ),
  run: runSection,
  data: dataSection,
  student: networkSection,
  teacher: teacherSection,
  train: trainSection,
  loss: lossSection,
  memory: memorySection,
  reference: referenceSection,
  evaluate: evaluateSection,
  metrics: studentMetricsSection,
  log: logSection,
});

export type StudentConfig = z.infer<typeof studentSections>;
