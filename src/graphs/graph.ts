/** A network that comes as a graph: what a teacher needs of it, whichever library runs it. */
import type { Tensor } from '../tensor/index.js';

/** An input or output of a graph. */
export interface GraphTensor {
  readonly name: string;
  /** "float32", "uint8", …: the graph's own dtype. */
  readonly dtype: string;
  /** null: a size that may differ from call to call; undefined: the graph doesn't state its rank. */
  readonly shape: readonly (number | null)[] | undefined;
}

export interface Graph {
  readonly format: 'onnx' | 'saved_model';
  /** What runs it, with version and device: "onnxruntime 1.30.0 cpu". */
  readonly runtime: string;
  readonly inputs: readonly GraphTensor[];
  readonly outputs: readonly GraphTensor[];
  /** "sha256:<hex>" over every file that the graph is made of. */
  readonly hash: string;
  /**
   * Runs the graph once. `image` is float32 in the graph's layout ([N, 3, H, W] or [N, H, W, 3]) and is
   * converted to the input's dtype where that isn't float32. Gives the named outputs as float32, in
   * their order; they belong to the caller. Rejects with the library's error where the graph fails.
   */
  run(image: Tensor, outputs: readonly string[]): Promise<Tensor[]>;
  close(): Promise<void>;
}
