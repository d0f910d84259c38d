/** What is wanted of each case, beside PyTorch. */
import type { StepCase } from './cases.js';

/** PyTorch's time over ours, by the case's name. */
const SPEEDS: Readonly<Record<string, number>> = {
  teacher: 1.5,
  'network-resnet18': 2,
  'network-mobilenetv2': 2.5,
  'whole-resnet18': 2.2,
  'whole-mobilenetv2': 2.5,
};

/** Of the others. */
const SPEED = 1;

/** Peak memory over PyTorch's. */
const MEMORY = { plain: 0.6, recompute: 0.45 } as const;

/** The time of the whole step less the network's, over PyTorch's. */
export const WANTED_REST = 0.3;

/** null: recomputing is for memory. */
export const wantedSpeed = ({ name, workload }: StepCase): number | null =>
  workload.recompute === true ? null : (SPEEDS[name] ?? SPEED);

export const wantedMemory = ({ workload }: StepCase): number =>
  workload.recompute === true ? MEMORY.recompute : MEMORY.plain;
