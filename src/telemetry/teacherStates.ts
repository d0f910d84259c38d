/** How many of a student's teachers are in which state. */
import { Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { STUDENT_METRIC_NAMES } from './metricNames.js';

/** The only state that an alert counts, so it is there, as 0, from the first news on. */
const READY = 'ready';

/** Takes each change of one teacher's state; 'closed' forgets the teacher. */
export function teacherStates(registers: Registry[]): (address: string, state: string) => void {
  const gauge = new Gauge({ ...STUDENT_METRIC_NAMES.teachers, labelNames: ['state'], registers });
  const states = new Map<string, string>();
  const seen = new Set([READY]);
  return (address, state) => {
    if (state === 'closed') states.delete(address);
    else states.set(address, state);
    for (const known of states.values()) seen.add(known);
    for (const each of seen) {
      const count = [...states.values()].filter((known) => known === each).length;
      gauge.set({ state: each }, count);
    }
  };
}
