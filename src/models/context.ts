/** What a forward pass needs besides weights and input. */
import { Tape, type Var } from '../tensor/index.js';
import { StagedBuffers } from './buffers.js';

export interface ForwardContext {
  readonly tape: Tape;
  /** Batch statistics (staged into `staged`) instead of running ones. */
  readonly training: boolean;
  /** Two int32 for each dropout layer, counted from 0; null: dropout off. */
  readonly dropoutSeed: ((layer: number) => readonly [number, number]) | null;
  readonly staged: StagedBuffers;
  /** Sees the output of each stage of the backbone, valid during the call only. */
  readonly observe?: (stage: string, value: Var) => void;
}

/** Running statistics, no dropout, nothing recorded. Dispose of its tape after use. */
export function inferenceContext(): ForwardContext {
  return {
    tape: new Tape(false),
    training: false,
    dropoutSeed: null,
    staged: new StagedBuffers(),
  };
}
