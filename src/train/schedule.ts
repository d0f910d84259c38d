/** The learning rate as a function of the step. */

export interface Schedule {
  readonly learningRate: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Exponent of the polynomial decay; 0.9 in the paper. */
  readonly polyPower: number;
  /** Number of first steps in which the rate rises linearly to its value; 0: none. */
  readonly warmupSteps: number;
}

/**
 * learningRate * (1 - step/steps)^polyPower, times (step + 1)/warmupSteps during the warm-up.
 * `step` counts updates from 0. (CIRKD's trainer; DeepLab's "poly" policy.)
 */
export function learningRateAt(schedule: Schedule, step: number): number {
  const decay = (1 - Math.min(step, schedule.steps) / schedule.steps) ** schedule.polyPower;
  const warmup = step < schedule.warmupSteps ? (step + 1) / schedule.warmupSteps : 1;
  return schedule.learningRate * decay * warmup;
}
