/** Binds the server's hooks to metrics and log. */
import type { InferenceServiceOptions } from '../../src/oip/server/inferenceService.js';
import type { TeacherServerHooks } from '../../src/stream/server/serving.js';
import type { Logger } from '../../src/telemetry/log.js';
import type { TeacherMetrics } from '../../src/telemetry/teacherMetrics.js';

export function teacherHooks(metrics: TeacherMetrics, log: Logger): TeacherServerHooks {
  return {
    onStreams: (count) => metrics.streams.set(count),
    onQueueSize: (images, bytes) => {
      metrics.queueImages.set(images);
      metrics.queueBytes.set(bytes);
    },
    onAnswerBytes: (bytes) => metrics.answerBytes.set(bytes),
    onQueued: (seconds) => metrics.queueSeconds.observe(seconds),
    onBatch: ({ batch, images, longestQueuedSeconds, seconds }) => {
      metrics.batchImages.observe(images.length);
      metrics.inferenceSeconds.observe(seconds);
      log.debug(
        { batch, images, queueSeconds: longestQueuedSeconds, inferenceSeconds: seconds },
        'batch computed',
      );
    },
    onAnswer: (code) => {
      metrics.requests.inc({ code });
      if (code === 'OK') metrics.images.inc();
    },
    onSent: (encoding, bytes) => metrics.sentBytes.inc({ encoding }, bytes),
    onEvent: (level, message, fields) => log[level](fields, message),
  };
}

/** Methods with images: only their durations are of interest. */
const INFER_METHODS = ['ModelInfer', 'ModelStreamInfer'];

export function oipHooks(
  metrics: TeacherMetrics,
  log: Logger,
): Pick<InferenceServiceOptions, 'onRequest' | 'onUnexpected'> {
  return {
    onRequest: (method, code, seconds) => {
      metrics.oipRequests.inc({ method, code });
      if (INFER_METHODS.includes(method)) metrics.oipRequestSeconds.observe({ method }, seconds);
    },
    onUnexpected: (error) => log.error({ error }, 'unexpected error in a call'),
  };
}
