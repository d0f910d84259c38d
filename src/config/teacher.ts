/** The teacher server's config. */
import { z } from 'zod';
import { PRODUCTS } from '../contract/products.js';
import type { ConfigSchema, CrossFault } from './fields.js';
import { count, field, milliseconds, port, positiveCount, section } from './fields.js';
import { isProcessorList } from './sections/processorList.js';
import { listenHost, listenSocket } from './sections/addressFields.js';
import { answerCacheSection } from './sections/answerSections.js';
import { graphFaults, graphSection } from './sections/graphSection.js';
import { listenFaults, listenTls, listenTokenFile } from './sections/securitySections.js';
import { logSection, teacherMetricsSection } from './sections/sharedSections.js';

const MIB = 1_048_576;
/** Bytes for the fields of an Image message other than its pixels. */
const IMAGE_MESSAGE_OVERHEAD_BYTES = 4096;

export const DEFAULT_MAX_STREAMS = 16;

const limitsSection = section('Limits of one server, which refuses requests beyond them.', {
  maxQueueImages: field(positiveCount().default(64), 'Images in the queue, over all streams.', {
    unit: 'images',
  }),
  maxQueueMiB: field(
    positiveCount().max(65_536).default(256),
    'Pixels in the queue, over all streams. A large image counts as several of limits.maxQueueImages, according to its bytes.',
    { unit: 'MiB' },
  ),
  maxImagePixels: field(positiveCount().default(4_194_304), 'height * width of an image.', {
    unit: 'pixels',
  }),
  maxStreams: field(
    positiveCount().default(DEFAULT_MAX_STREAMS),
    'Students connected at the same time.',
  ),
  maxInflightImages: field(
    positiveCount().default(16),
    'Unanswered images per stream; limits.maxQueueImages should be several times as large.',
    { unit: 'images' },
  ),
  maxAnswerMiB: field(
    positiveCount().max(1_048_576).default(1024),
    'Answers being computed or not yet received, over all streams. A stream gets at most what is free; one answer is always allowed.',
    { unit: 'MiB' },
  ),
  maxMessageMiB: field(positiveCount().max(1024).default(16), 'Size of a received gRPC message.', {
    unit: 'MiB',
  }),
  uploadCreditMiB: field(
    positiveCount().max(65_536).default(64),
    'Pixels that a stream may send before it is granted new credit.',
    { unit: 'MiB' },
  ),
  chunkBytes: field(
    z.number().int().min(4096).max(67_108_864).default(1_048_576),
    'Largest chunk in which tensors are sent.',
    { unit: 'bytes' },
  ),
});

const batchSection = section('Batching of images into one forward pass.', {
  maxImages: field(
    positiveCount().max(1024).default(1),
    'Most images of one size per forward pass, over all streams. An image waits for no others unless maxDelayMs says so.',
    { unit: 'images' },
  ),
  maxDelayMs: field(milliseconds().default(0), 'How long an image waits for others to join it.', {
    unit: 'ms',
  }),
});

const simulateSection = section(
  'A simulated teacher instead of a checkpoint: real sizes, a fixed latency, no network.',
  {
    enabled: field(z.boolean().default(false), 'Serves simulated answers.'),
    classes: field(positiveCount().default(19), 'Channels of the logits.'),
    featureChannels: field(
      count().default(512),
      'Channels of the embedding; 0: logits only, without a feature.',
    ),
    outputStride: field(
      positiveCount().default(8),
      'Input pixels per output position, along each axis.',
    ),
    seed: field(
      count().max(4097).default(0),
      'Determines the answers and the digest: another seed simulates another teacher.',
    ),
    latencyMs: field(milliseconds().default(50), 'Duration of a forward pass of any size.', {
      unit: 'ms',
    }),
    imageMs: field(milliseconds().default(0), 'Additional duration per image of a forward pass.', {
      unit: 'ms',
    }),
  },
);

const faultsSection = section('Fault injection, to test how students react.', {
  nonFiniteEvery: field(count().default(0), 'Every n-th answer contains a NaN; 0: never.', {
    unit: 'images',
  }),
  failEvery: field(count().default(0), 'Every n-th image is answered by an error; 0: never.', {
    unit: 'images',
  }),
  stallEvery: field(count().default(0), 'Every n-th image takes stallMs longer; 0: never.', {
    unit: 'images',
  }),
  stallMs: field(milliseconds().default(1000), 'Additional duration, see stallEvery.', {
    unit: 'ms',
  }),
  corruptEvery: field(
    count().default(0),
    'Every n-th answer has a flipped bit and an unchanged checksum; 0: never.',
    { unit: 'images' },
  ),
  truncateEvery: field(
    count().default(0),
    'Every n-th answer lacks a chunk or has a shortened one; 0: never.',
    { unit: 'images' },
  ),
  duplicateEvery: field(
    count().default(0),
    'Every n-th answer is sent twice, in part or as a whole; 0: never.',
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
    "The teacher's weights; the file's metadata gives architecture and normalisation.",
    { wanted: 'the path of a .safetensors file', isPath: true },
  ),
  compute: field(
    z.enum(PRODUCTS).default('float32'),
    "Precision of the products in a checkpoint's convolutions with batch norm; sums are float32. bfloat16 is another numeric mode: the digest differs, so a run can't change to it (docs/teachers.md).",
  ),
  graph: graphSection,
  simulate: simulateSection,
  faults: faultsSection,
  listen: section('gRPC: the teacher service, health and reflection.', {
    host: listenHost('Address; 0.0.0.0: all interfaces, "::": all with IPv6.'),
    port: field(
      port().nullable().default(50_051),
      'Port; 0: any free port (logged), null: none, only listen.socket.',
    ),
    socket: listenSocket,
    socketAccess: field(
      z.enum(['user', 'group', 'everyone']).default('user'),
      "Who may connect to listen.socket: this process' user, its group as well (mode 0660), or everyone on the machine.",
    ),
    healthPort: field(
      port().nullable().default(null),
      'Additional port for health checks only, without TLS; 0: any free port (logged), null: none.',
    ),
    tokenFile: listenTokenFile,
    tls: listenTls,
  }),
  oip: section('The Open Inference Protocol (KServe, Triton), on the same port.', {
    enabled: field(z.boolean().default(true), 'Serves inference.GRPCInferenceService, too.'),
    modelName: field(
      z
        .string()
        .regex(/^[A-Za-z0-9._-]{1,128}$/)
        .default('cirkd'),
      'Name of the model that its clients ask for; its version is 1.',
      { wanted: '1 to 128 of A-Z a-z 0-9 . _ -' },
    ),
  }),
  metrics: teacherMetricsSection,
  limits: limitsSection,
  batch: batchSection,
  cache: answerCacheSection,
  requestTimeoutMs: field(
    positiveCount().max(86_400_000).default(60_000),
    'Limit from the arrival of an image to the last byte of its answer; an image may set a shorter one.',
    { unit: 'ms' },
  ),
  drainMs: field(
    milliseconds().default(30_000),
    'Time after SIGTERM in which images already accepted are still answered.',
    { unit: 'ms' },
  ),
  threads: field(
    count().max(1024).default(0),
    'Threads inside one operation; 0: all cores, or those of cpus.',
  ),
  cpus: field(
    z
      .string()
      .refine(isProcessorList, { message: 'no list of processors' })
      .nullable()
      .default(null),
    'Processors that all threads of the process run on, such as those of one NUMA node (Linux); null: all that it may use.',
    { wanted: 'text such as "0-3,8"' },
  ),
  encodings: field(
    z
      .array(z.enum(['fp32', 'fp16', 'int8']))
      .min(1)
      .default(['fp32', 'fp16', 'int8']),
    'Encodings that students may request.',
  ),
  warmUp: field(
    z.array(z.tuple([positiveCount(), positiveCount()])).default([]),
    '[height, width] of images that are run through the network before the server reports healthy.',
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
    ...computeFaults(config),
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

/** Graphs and simulated teachers have a mode of their own. */
function computeFaults({ checkpoint, compute }: TeacherConfig): CrossFault[] {
  if (compute === 'float32' || checkpoint !== null) return [];
  const message = `got ${compute} without a checkpoint, wanted float32: only networks of a checkpoint have other modes`;
  return [{ keys: ['compute', 'checkpoint'], message }];
}

/** Wants exactly one source of the teacher. */
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
