/** The interface of a network that comes as a graph, independent of the library that runs it. */
import type { Tensor } from '../tensor/index.js';

/** An input or output of a graph. */
export interface GraphTensor {
  readonly name: string;
  /** The graph's own dtype: "float32", "uint8", … */
  readonly dtype: string;
  /** A size that may vary between calls is null; undefined: the graph doesn't state the rank. */
  readonly shape: readonly (number | null)[] | undefined;
}

export interface Graph {
  readonly format: 'onnx' | 'saved_model';
  /** The library that runs it, with version and device: "onnxruntime 1.30.0 cpu". */
  readonly runtime: string;
  readonly inputs: readonly GraphTensor[];
  readonly outputs: readonly GraphTensor[];
  /** "sha256:<hex>" over every file of the graph. */
  readonly hash: string;
  /**
   * Runs the graph once. `image` is float32 in the graph's layout ([N, 3, H, W] or [N, H, W, 3]) and is
   * converted to the input's dtype if that differs. Resolves to the named outputs as float32, in the order
   * of the names; the caller owns them. Rejects with the library's error if the graph fails.
   */
  run(image: Tensor, outputs: readonly string[]): Promise<Tensor[]>;
  close(): Promise<void>;
}
