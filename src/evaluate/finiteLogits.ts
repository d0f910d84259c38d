/** Logits that are no numbers: their arg-max would be a class like any other, and a score be told. */
import { isFiniteTensor } from '../models/finiteTensor.js';
import type { Tensor } from '../tensor/index.js';

/** A network's logits are NaN or infinite. Exit code 6. */
export class NonFiniteLogitsError extends Error {
  override readonly name = 'NonFiniteLogitsError';
}

/** Before they are resized: there are fewer, and one NaN then spoils its neighbours. */
export function requireFiniteLogits(logits_NhwK: Tensor): void {
  if (isFiniteTensor(logits_NhwK)) return;
  throw new NonFiniteLogitsError(
    "logits: NaN or infinite, wanted numbers: the network's weights are broken, or the pixels' normalisation",
  );
}
