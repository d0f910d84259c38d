/** The teacher server's config. */
import { z } from 'zod';
import type { ConfigSchema, CrossFault } from './fields.js';
import { count, field, milliseconds, port, positiveCount, section, text } from './fields.js';
import { graphFaults, graphSection } from './graphSection.js';
import { listenFaults, listenTls, listenTokenFile } from './securitySections.js';
import { logSection, teacherMetricsSection } from './sharedSections.js';

const MIB = 1_048_576;
/** Room for the fields of an Image message besides its pixels. */
const IMAGE_MESSAGE_OVERHEAD_BYTES = 4096;

const limitsSection = section('What one server takes on; beyond it a request is refused.', {
  maxQueueImages: field(positiveCount().default(64), 'Images that wait, over all streams.', {
    unit: 'images',
  }),
  maxQueueMiB: field(
    positiveCount().max(65_536).default(256),
    'Pixels that wait, over all streams. A large image takes as many places of limits.maxQueueImages as its bytes need.',
    { unit: 'MiB' },
  ),
  maxImagePixels: field(positiveCount().default(4_194_304), 'height * width of an image.', {
    unit: 'pixels',
  }),
  maxStreams: field(positiveCount().default(16), 'Students connected at once.'),
  maxInflightImages: field(
    positiveCount().default(16),
    'Unanswered images of one stream; limits.maxQueueImages should be several times as many.',
    { unit: 'images' },
  ),
  maxAnswerMiB: field(
    positiveCount().max(1_048_576).default(1024),
    'Answers being computed or not yet taken, over all streams. A stream gets no more than is still free; one answer is always allowed.',
    { unit: 'MiB' },
  ),
  maxMessageMiB: field(positiveCount().max(1024).default(16), 'gRPC message that is received.', {
    unit: 'MiB',
  }),
  uploadCreditMiB: field(
    positiveCount().max(65_536).default(64),
    'Pixels that a stream may send before it gets new credit.',
    { unit: 'MiB' },
  ),
  chunkBytes: field(
    z.number().int().min(4096).max(67_108_864).default(1_048_576),
    'Largest piece that a tensor is sent in.',
    { unit: 'bytes' },
  ),
});

const batchSection = section('Images that are put through the network together.', {
  maxImages: field(
    positiveCount().max(1024).default(1),
    'Bit-exact answers are promised for 1 only.',
    { unit: 'images' },
  ),
  maxDelayMs: field(milliseconds().default(0), 'How long an image waits for company.', {
    unit: 'ms',
  }),
});

const simulateSection = section(
  'A made-up teacher in place of a checkpoint: real sizes, a fixed time, no network.',
  {
    enabled: field(z.boolean().default(false), 'Serves made-up numbers.'),
    classes: field(positiveCount().default(19), 'Channels of the logits.'),
    featureChannels: field(
      count().default(512),
      'Channels of the embedding; 0: a teacher that gives logits alone, no feature.',
    ),
    outputStride: field(positiveCount().default(8), 'Input pixels to a position, each way.'),
    seed: field(
      count().max(4097).default(0),
      'Another seed is another teacher: other answers, another digest.',
    ),
    latencyMs: field(milliseconds().default(50), 'Time of a forward pass, whatever its size.', {
      unit: 'ms',
    }),
    imageMs: field(milliseconds().default(0), 'Besides, for each image of a forward pass.', {
      unit: 'ms',
    }),
  },
);

const faultsSection = section('Faults on purpose, to try out what students do.', {
  nonFiniteEvery: field(count().default(0), 'A NaN in every n-th image; 0: never.', {
    unit: 'images',
  }),
  failEvery: field(count().default(0), 'No answer but an error to every n-th image; 0: never.', {
    unit: 'images',
  }),
  stallEvery: field(count().default(0), 'Every n-th image takes stallMs longer; 0: none does.', {
    unit: 'images',
  }),
  stallMs: field(milliseconds().default(1000), 'See stallEvery.', { unit: 'ms' }),
  corruptEvery: field(
    count().default(0),
    'A bit of every n-th answer flipped, its checksum left; 0: never.',
    { unit: 'images' },
  ),
  truncateEvery: field(
    count().default(0),
    'A piece of every n-th answer left out or cut short; 0: never.',
    { unit: 'images' },
  ),
  duplicateEvery: field(
    count().default(0),
    'A piece of every n-th answer sent twice, or all of it; 0: never.',
    { unit: 'images' },
  ),
});

const root = z.strictObject({
  checkpoint: field(
    z
      .string()
      .regex(/\.safetensors$/)
      .nullable()
      .default(null),
    "The teacher's weights; architecture and normalisation are in its metadata.",
    { wanted: 'the path of a .safetensors file' },
  ),
  graph: graphSection,
  simulate: simulateSection,
  faults: faultsSection,
  listen: section('gRPC: the teacher service, health and reflection.', {
    host: field(text().default('127.0.0.1'), 'Address; 0.0.0.0 for every interface.'),
    port: field(port().default(50_051), 'Port; 0: any free one (logged).'),
    healthPort: field(
      port().nullable().default(null),
      'Another port, for health alone and never TLS; 0: any free one (logged), null: none.',
    ),
    tokenFile: listenTokenFile,
    tls: listenTls,
  }),
  metrics: teacherMetricsSection,
  limits: limitsSection,
  batch: batchSection,
  requestTimeoutMs: field(
    positiveCount().max(86_400_000).default(60_000),
    'From arrival of an image to the last byte of its answer; it may name a shorter time.',
    { unit: 'ms' },
  ),
  drainMs: field(
    milliseconds().default(30_000),
    'After SIGTERM, images already accepted are still answered for so long.',
    { unit: 'ms' },
  ),
  threads: field(count().max(1024).default(0), 'Threads inside one operation; 0: all cores.'),
  encodings: field(
    z
      .array(z.enum(['fp32', 'fp16', 'int8']))
      .min(1)
      .default(['fp32', 'fp16', 'int8']),
    'Encodings that a student may ask for.',
  ),
  warmUp: field(
    z.array(z.tuple([positiveCount(), positiveCount()])).default([]),
    '[height, width] of images put through the network before it reports healthy.',
    { unit: 'pixels' },
  ),
  log: logSection,
});

export type TeacherConfig = z.infer<typeof root>;
/** As it may be written: keys with defaults may be left out. */
export type TeacherConfigInput = z.input<typeof root>;

export const teacherSchema: ConfigSchema<TeacherConfig> = {
  service: 'teacher',
  root,
  crossFaults: teacherCrossFaults,
};

function teacherCrossFaults(config: TeacherConfig): CrossFault[] {
  const { maxImagePixels, maxMessageMiB, maxQueueMiB, uploadCreditMiB } = config.limits;
  const imageBytes = maxImagePixels * 3;
  const faults = [
    ...sourceFaults(config),
    ...graphFaults(config.graph),
    ...listenFaults(config.listen),
  ];
  if (imageBytes + IMAGE_MESSAGE_OVERHEAD_BYTES > maxMessageMiB * MIB) {
    faults.push({
      keys: ['limits.maxMessageMiB', 'limits.maxImagePixels'],
      message: `got ${maxMessageMiB}, wanted more than the ${imageBytes} bytes of an image of limits.maxImagePixels`,
    });
  }
  if (imageBytes > uploadCreditMiB * MIB) {
    faults.push({
      keys: ['limits.uploadCreditMiB', 'limits.maxImagePixels'],
      message: `got ${uploadCreditMiB}, wanted at least the ${imageBytes} bytes of an image of limits.maxImagePixels`,
    });
  }
  if (imageBytes > maxQueueMiB * MIB) {
    faults.push({
      keys: ['limits.maxQueueMiB', 'limits.maxImagePixels'],
      message: `got ${maxQueueMiB}, wanted at least the ${imageBytes} bytes of an image of limits.maxImagePixels`,
    });
  }
  config.warmUp.forEach(([height, width], index) => {
    if (height * width > maxImagePixels) {
      faults.push({
        keys: [`warmUp.${index}`, 'limits.maxImagePixels'],
        message: `got ${height} x ${width}, wanted at most limits.maxImagePixels (${maxImagePixels}) pixels`,
      });
    }
  });
  return faults;
}

/** Exactly one of what a teacher may be made of. */
function sourceFaults({ checkpoint, graph, simulate }: TeacherConfig): CrossFault[] {
  const given = {
    checkpoint: checkpoint !== null,
    'graph.onnx': graph.onnx !== null,
    'graph.savedModel': graph.savedModel !== null,
    'simulate.enabled': simulate.enabled,
  };
  const names = Object.entries(given).flatMap(([key, isGiven]) => (isGiven ? [key] : []));
  if (names.length === 1) return [];
  const what = names.length === 0 ? 'none given' : `${names.join(' and ')} given`;
  const [first, ...others] = names.length === 0 ? Object.keys(given) : names;
  return [
    {
      keys: [first!, ...others],
      message: `${what}, wanted one of checkpoint, graph.onnx, graph.savedModel and simulate.enabled: true`,
    },
  ];
}
