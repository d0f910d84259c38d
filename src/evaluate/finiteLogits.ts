/** Rejects logits that aren't finite: their arg-max would still be a class and give a plausible score. */
import { isFiniteTensor } from '../models/teacher/finiteTensor.js';
import type { Tensor } from '../tensor/index.js';

/** A network's logits are NaN or infinite. Exit code 6. */
export class NonFiniteLogitsError extends Error {
  override readonly name = 'NonFiniteLogitsError';
}

/** Call it before resizing: there are fewer values then, and resizing spreads a NaN to its neighbours. */
export function requireFiniteLogits(logits_NhwK: Tensor): void {
  if (isFiniteTensor(logits_NhwK)) return;
  throw new NonFiniteLogitsError(
    "logits: NaN or infinite, wanted numbers: the network's weights are broken, or the pixels' normalisation",
  );
}
