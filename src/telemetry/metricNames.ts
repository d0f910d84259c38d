/**
 * Every Prometheus metric of both services, with its help text. The names are part of the contract:
 * users' dashboards and alerts contain them.
 */

interface MetricName {
  readonly name: string;
  readonly help: string;
}

const named = <Keys extends string>(
  prefix: string,
  names: Record<Keys, readonly [string, string]>,
) =>
  Object.fromEntries(
    Object.entries<readonly [string, string]>(names).map(([key, [name, help]]) => [
      key,
      { name: `${prefix}${name}`, help },
    ]),
  ) as Record<Keys, MetricName>;

export const TEACHER_METRIC_NAMES = named('cirkd_teacher_', {
  images: ['images_total', 'Images answered in full.'],
  requests: ['requests_total', 'Image requests completed, by gRPC status code name.'],
  inferenceSeconds: ['inference_seconds', 'Duration of one forward pass of the network.'],
  queueSeconds: ['queue_seconds', 'Time that an image waits in the queue.'],
  queueImages: ['queue_images', 'Images in the queue.'],
  queueBytes: ['queue_bytes', 'Bytes of pixels in the queue.'],
  answerBytes: ['answer_bytes', 'Bytes of answers being computed or not yet received by students.'],
  batchImages: ['batch_images', 'Images per forward pass.'],
  sentBytes: ['sent_bytes_total', 'Bytes of tensor data sent, by encoding.'],
  streams: ['streams', 'Open Distill streams.'],
  oipRequests: [
    'oip_requests_total',
    'Requests of the Open Inference Protocol, by method and gRPC status code name.',
  ],
  oipRequestSeconds: [
    'oip_request_seconds',
    'Duration of an inference request of the Open Inference Protocol, by method.',
  ],
  info: ['info', 'Always 1; the labels identify the weights being served and their numeric mode.'],
});

export const STUDENT_METRIC_NAMES = named('cirkd_student_', {
  info: ['info', 'Always 1; the run label identifies the run.'],
  runSteps: ['run_steps', 'Updates of the weights in the whole run.'],
  runStep: ['run_step', 'Updates that the run has made, including those before a resume.'],
  teachers: ['teachers', 'Teachers that the student knows, by state; absent without teachers.'],
  steps: ['steps_total', 'Updates of the weights made by this process.'],
  images: ['images_total', 'Crops trained on by this process.'],
  stepSeconds: ['step_seconds', 'Duration of one update, including waiting.'],
  phaseSeconds: [
    'phase_seconds_total',
    'Time spent waiting for data, waiting for teachers, computing and in collectives, by phase.',
  ],
  loss: [
    'loss',
    'Terms of the last step, unweighted; task includes the auxiliary head, total is weighted. skd_discriminator is not part of total.',
  ],
  collectiveBytes: [
    'collective_bytes_total',
    'Bytes of the tensors that this rank gave to collectives, by kind; absent without other ranks.',
  ],
  rankLag: [
    'rank_lag_seconds_total',
    'Time by which rank peer came later than the typical rank; at rank 0, absent without other ranks.',
  ],
  rankAwaited: [
    'rank_awaited_seconds',
    'Time that another rank has by now waited for rank peer, 0 if none does; at rank 0, absent without other ranks.',
  ],
  learningRate: ['learning_rate', 'Learning rate of the last step.'],
  receivedBytes: ['received_bytes_total', 'Bytes of tensor data received from teachers.'],
  inflightBytes: ['inflight_bytes', 'Bytes of answers requested and not yet complete.'],
  requeued: ['requeued_total', 'Images requested again, by reason.'],
  unmatched: [
    'unmatched_answers_total',
    'Whole answers at oip addresses that no image waited for: late, doubled, or with an unknown id.',
  ],
  nonfinite: ['nonfinite_total', 'Teacher answers and steps that contained NaN or infinity.'],
  lastStepTimestamp: [
    'last_step_timestamp_seconds',
    'Unix time of the last step, or of the start before the first step.',
  ],
  evaluated: [
    'evaluated_ratio',
    'Share of data.val, 0..1, that the running or last evaluation has done; NaN before the first.',
  ],
  miou: ['miou', 'Mean IoU of the last evaluation, 0..1; NaN before the first.'],
  pixelAccuracy: ['pixel_accuracy', 'Pixel accuracy of the last evaluation, 0..1; NaN before it.'],
});

export const MEMORY_METRIC_NAMES = named('cirkd_memory_', {
  bankFill: ['bank_fill_ratio', 'Share of filled rows, 0..1, by bank.'],
});

export const TLS_METRIC_NAMES = named('cirkd_tls_', {
  certificateExpiry: [
    'certificate_expiry_timestamp_seconds',
    'Unix time at which the certificate in use, or one of its chain, expires.',
  ],
});

/** Both services keep answers, and tell the same of them. */
const ANSWER_NAMES = {
  hits: ['hits_total', 'Images answered with an answer that was kept.'],
  misses: ['misses_total', 'Images for which no answer was kept.'],
  evictions: ['evictions_total', 'Answers removed to make room.'],
  bytes: ['bytes', 'Bytes of the answers that are kept.'],
  answers: ['answers', 'Answers that are kept.'],
  corrupted: ['corrupted_total', 'Stored answers that were damaged, and removed.'],
  writeFailures: ['write_failures_total', 'Answers that could not be stored.'],
} as const satisfies Record<string, readonly [string, string]>;

/** By `place`: memory, disk. Corrupted answers and failed writes: disk only. */
export const TEACHER_CACHE_METRIC_NAMES = named('cirkd_teacher_cache_', ANSWER_NAMES);

export const STUDENT_STORE_METRIC_NAMES = named('cirkd_student_store_', ANSWER_NAMES);

/** Every step has the first three, a step of a group all. */
export const PHASES = ['data', 'teacher', 'compute', 'collectives'] as const;

export type Phase = (typeof PHASES)[number];

export type PhaseSeconds = Readonly<Record<Exclude<Phase, 'collectives'>, number>> & {
  readonly collectives?: number;
};

const BANKS = ['pixel', 'region', 'channel'] as const;

export type Bank = (typeof BANKS)[number];
