/** Counts a student's teachers by state. */
import { Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { STUDENT_METRIC_NAMES } from './metricNames.js';

/** The state that an alert counts: it is exported, if only as 0, from the first change on. */
const READY = 'ready';

/** Returns a function for every change of a teacher's state; 'closed' removes the teacher. */
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
