/**
 * Every Prometheus name of both services, with its help text. Names are contract: dashboards and
 * alerts of others hold them.
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
  requests: ['requests_total', 'Images asked for that came to an end, by gRPC status code name.'],
  inferenceSeconds: ['inference_seconds', 'Time of one forward pass of the network.'],
  queueSeconds: ['queue_seconds', 'Time that an image waits before its forward pass.'],
  queueImages: ['queue_images', 'Images that wait now.'],
  queueBytes: ['queue_bytes', 'Pixels that wait now.'],
  answerBytes: ['answer_bytes', 'Answers being computed or not yet taken by their students.'],
  batchImages: ['batch_images', 'Images in one forward pass.'],
  sentBytes: ['sent_bytes_total', 'Bytes of tensor data sent, by encoding.'],
  streams: ['streams', 'Distill streams open now.'],
  info: ['info', '1; the digest label tells which weights are served.'],
});

export const STUDENT_METRIC_NAMES = named('cirkd_student_', {
  info: ['info', '1; the run label tells which run this process makes.'],
  runSteps: ['run_steps', 'Updates that the run is to have made when it is done.'],
  runStep: ['run_step', 'Updates that the run has made, those before a resume included.'],
  teachers: ['teachers', 'Teachers that the student knows, by state; absent without teachers.'],
  steps: ['steps_total', 'Updates of the weights made by this process.'],
  images: ['images_total', 'Crops trained on by this process.'],
  stepSeconds: ['step_seconds', 'Time of one update, waiting included.'],
  phaseSeconds: ['phase_seconds_total', 'Time spent waiting for data, for teachers, computing.'],
  loss: ['loss', 'Each term of the last step, unweighted; task with its aux part; total weighted.'],
  learningRate: ['learning_rate', 'Learning rate of the last step.'],
  receivedBytes: ['received_bytes_total', 'Bytes of tensor data received from teachers.'],
  inflightBytes: ['inflight_bytes', 'Bytes of answers asked for and not yet whole.'],
  requeued: ['requeued_total', 'Images asked for again, by reason.'],
  nonfinite: ['nonfinite_total', 'Teacher replies and steps that held a NaN or an infinity.'],
  lastStepTimestamp: [
    'last_step_timestamp_seconds',
    'Unix time of the last step, or of the start.',
  ],
  miou: ['miou', 'Mean IoU of the last evaluation, 0..1; NaN before the first.'],
  pixelAccuracy: ['pixel_accuracy', 'Pixel accuracy of the last evaluation, 0..1; NaN before it.'],
});

export const MEMORY_METRIC_NAMES = named('cirkd_memory_', {
  bankFill: ['bank_fill_ratio', 'Rows filled over rows in all, 0..1, by bank.'],
});

export const TLS_METRIC_NAMES = named('cirkd_tls_', {
  certificateExpiry: [
    'certificate_expiry_timestamp_seconds',
    'Unix time at which the certificate in use expires, its chain included.',
  ],
});

export const PHASES = ['data', 'teacher', 'compute'] as const;

export type Phase = (typeof PHASES)[number];

const BANKS = ['pixel', 'region'] as const;

export type Bank = (typeof BANKS)[number];
