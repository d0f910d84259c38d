/** The metrics of a teacher server. */
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import { type AnswerMetrics, answerMetrics } from './answerMetrics.js';
import { TEACHER_CACHE_METRIC_NAMES, TEACHER_METRIC_NAMES as NAMES } from './metricNames.js';
import { certificateExpiry } from './certificateExpiry.js';
import { createRegistry, SECONDS_BUCKETS } from './registry.js';

export interface TeacherMetrics {
  readonly registry: Registry;
  readonly images: Counter;
  /** code: the gRPC status name, e.g. OK, RESOURCE_EXHAUSTED. */
  readonly requests: Counter<'code'>;
  readonly inferenceSeconds: Histogram;
  readonly queueSeconds: Histogram;
  readonly queueImages: Gauge;
  readonly queueBytes: Gauge;
  readonly answerBytes: Gauge;
  readonly batchImages: Histogram;
  /** encoding: fp32, fp16, int8. */
  readonly sentBytes: Counter<'encoding'>;
  readonly streams: Gauge;
  /** method: e.g. ModelInfer; code: the gRPC status name. */
  readonly oipRequests: Counter<'method' | 'code'>;
  /** Until the answer is handed to gRPC; method: ModelInfer, ModelStreamInfer. */
  readonly oipRequestSeconds: Histogram<'method'>;
  readonly cache: AnswerMetrics;
  /** Sets the expiry of the certificate in use; not called by a service without one. */
  readonly setCertificateExpiry: (expires: Date) => void;
  /** Records which weights are served in which mode; call once, when the checkpoint is loaded. */
  setNetwork(digest: string, numericMode: string): void;
}

export function createTeacherMetrics(): TeacherMetrics {
  const registry = createRegistry();
  const registers = [registry];
  const info = new Gauge({ ...NAMES.info, labelNames: ['digest', 'numeric_mode'], registers });
  return {
    registry,
    images: new Counter({ ...NAMES.images, registers }),
    requests: new Counter({ ...NAMES.requests, labelNames: ['code'], registers }),
    inferenceSeconds: new Histogram({
      ...NAMES.inferenceSeconds,
      buckets: SECONDS_BUCKETS,
      registers,
    }),
    queueSeconds: new Histogram({ ...NAMES.queueSeconds, buckets: SECONDS_BUCKETS, registers }),
    queueImages: new Gauge({ ...NAMES.queueImages, registers }),
    queueBytes: new Gauge({ ...NAMES.queueBytes, registers }),
    answerBytes: new Gauge({ ...NAMES.answerBytes, registers }),
    batchImages: new Histogram({
      ...NAMES.batchImages,
      buckets: [1, 2, 4, 8, 16, 32, 64],
      registers,
    }),
    sentBytes: new Counter({ ...NAMES.sentBytes, labelNames: ['encoding'], registers }),
    streams: new Gauge({ ...NAMES.streams, registers }),
    oipRequests: new Counter({ ...NAMES.oipRequests, labelNames: ['method', 'code'], registers }),
    oipRequestSeconds: new Histogram({
      ...NAMES.oipRequestSeconds,
      labelNames: ['method'],
      buckets: SECONDS_BUCKETS,
      registers,
    }),
    cache: answerMetrics(TEACHER_CACHE_METRIC_NAMES, ['memory', 'disk'], registers),
    setCertificateExpiry: certificateExpiry(registers),
    setNetwork: (digest, numericMode) => {
      info.reset();
      info.set({ digest, numeric_mode: numericMode }, 1);
    },
  };
}
