/** When a run evaluates; all ranks of a group do it by rank 0's plan. */
import type { StudentConfig } from '../../src/config/student.js';
import type { OpenedRun } from './openRun.js';

export interface EvaluationPlan {
  /** Of the whole run; the last is always followed by an evaluation. */
  readonly steps: number;
  /** Steps between evaluations; 0: only at the end. */
  readonly every: number;
  /** Whether one that an earlier process owed comes before the first step. */
  readonly isOwed: boolean;
  /** See EvaluationOptions; of the last one, which the report is made from. */
  readonly pictures: number;
}

type PlannedRun = Pick<OpenedRun, 'manifest' | 'isEvaluated'>;

export function evaluationPlan(
  { run, train, evaluate }: StudentConfig,
  { manifest, isEvaluated }: PlannedRun,
): EvaluationPlan {
  const plan = {
    steps: train.steps,
    every: run.evaluateEverySteps,
    pictures: evaluate.pictures,
  };
  if (manifest === null) return { ...plan, isOwed: false };
  // The events lack the data for the report of a finished run, so the last evaluation is repeated.
  const isMissing = !isEvaluated || manifest.step === train.steps;
  return { ...plan, isOwed: isMissing && isEvaluationDue(plan, manifest.step) };
}

/** @param step updates done */
export function isEvaluationDue(
  { steps, every }: Pick<EvaluationPlan, 'steps' | 'every'>,
  step: number,
): boolean {
  return step === steps || isDue(step, every);
}

export function isDue(step: number, everySteps: number): boolean {
  return everySteps > 0 && step % everySteps === 0;
}

/** Pictures are for the report, so only of the last evaluation. */
export function picturesAfter({ steps, pictures }: EvaluationPlan, step: number): number {
  return step === steps ? pictures : 0;
}
