/** What a forward pass needs in addition to weights and input. */
import type { Products } from '../contract/products.js';
import { type RankGroup, Tape, type Var } from '../tensor/index.js';
import { StagedBuffers } from './buffers.js';

/** The place of this process's images in a batch that several ranks share equally. */
export interface BatchShare {
  readonly rank: number;
  readonly ranks: RankGroup;
  /** Whether batch norms use the statistics of all ranks, or of this one. */
  readonly norms: 'synchronised' | 'rank';
}

export interface ForwardContext {
  readonly tape: Tape;
  /** true: batch norms use batch statistics and stage the new running ones in `staged`. */
  readonly training: boolean;
  /** Two int32 seeds per dropout layer, counted from 0; null: dropout off. */
  readonly dropoutSeed: ((layer: number) => readonly [number, number]) | null;
  readonly staged: StagedBuffers;
  /** Of convolutions with batch norm in inference. Absent: float32. */
  readonly products?: Products;
  /** Absent: the batch is this process's alone. */
  readonly share?: BatchShare;
  /** Called with the output of each stage of the backbone, which is valid during the call only. */
  readonly observe?: (stage: string, value: Var) => void;
}

/** Running statistics, no dropout, nothing recorded. Dispose of its tape after use. */
export function inferenceContext(products: Products = 'float32'): ForwardContext {
  return {
    products,
    tape: new Tape(false),
    training: false,
    dropoutSeed: null,
    staged: new StagedBuffers(),
  };
}
