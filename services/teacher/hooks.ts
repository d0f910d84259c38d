/** Binds what the server tells of itself to metrics and log. */
import type { TeacherServerHooks } from '../../src/stream/serverHooks.js';
import type { Logger } from '../../src/telemetry/log.js';
import type { TeacherMetrics } from '../../src/telemetry/teacherMetrics.js';

export function teacherHooks(metrics: TeacherMetrics, log: Logger): TeacherServerHooks {
  return {
    onStreams: (count) => metrics.streams.set(count),
    onQueueSize: (images) => metrics.queueImages.set(images),
    onQueued: (seconds) => metrics.queueSeconds.observe(seconds),
    onBatch: (images, seconds) => {
      metrics.batchImages.observe(images);
      metrics.inferenceSeconds.observe(seconds);
    },
    onAnswer: (code) => {
      metrics.requests.inc({ code });
      if (code === 'OK') metrics.images.inc();
    },
    onSent: (encoding, bytes) => metrics.sentBytes.inc({ encoding }, bytes),
    onEvent: (level, message, fields) => log[level](fields, message),
  };
}
