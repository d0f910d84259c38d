/** Metrics of answers that are kept: of a teacher's cache, and of a student's store. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { TEACHER_CACHE_METRIC_NAMES } from './metricNames.js';

const PLACES = ['memory', 'disk'] as const;

type Place = (typeof PLACES)[number];

/** Recorders of what caches report. */
export interface AnswerMetrics {
  onHit(place: Place): void;
  onMiss(): void;
  onEvicted(place: Place, answers: number): void;
  onSize(place: Place, bytes: number, answers: number): void;
  onCorrupted(): void;
  onWriteFailed(): void;
}

/** `places`: those that the service has; with more than one, a label tells them apart. */
export function answerMetrics(
  names: typeof TEACHER_CACHE_METRIC_NAMES,
  places: readonly Place[],
  registers: Registry[],
): AnswerMetrics {
  const labelNames = places.length > 1 ? ['place'] : [];
  const labels = (place: Place): Record<string, string> => (places.length > 1 ? { place } : {});
  const hits = new Counter({ ...names.hits, labelNames, registers });
  const misses = new Counter({ ...names.misses, registers });
  const evictions = new Counter({ ...names.evictions, labelNames, registers });
  const bytes = new Gauge({ ...names.bytes, labelNames, registers });
  const answers = new Gauge({ ...names.answers, labelNames, registers });
  const corrupted = new Counter({ ...names.corrupted, registers });
  const writeFailures = new Counter({ ...names.writeFailures, registers });
  for (const place of places) {
    hits.inc(labels(place), 0);
    evictions.inc(labels(place), 0);
  }
  return {
    onHit: (place) => hits.inc(labels(place)),
    onMiss: () => misses.inc(),
    onEvicted: (place, count) => evictions.inc(labels(place), count),
    onSize: (place, size, count) => {
      bytes.set(labels(place), size);
      answers.set(labels(place), count);
    },
    onCorrupted: () => corrupted.inc(),
    onWriteFailed: () => writeFailures.inc(),
  };
}
