/** What the peers serve. Both get the same file and the same names of tensors. */

/** As the protocol names them. */
export type Datatype = 'FP32' | 'FP16' | 'BF16' | 'UINT8';

export interface ServedTensor {
  readonly name: string;
  readonly datatype: Datatype;
  /** -1: any. */
  readonly shape: readonly number[];
}

interface Served {
  readonly name: string;
  readonly inputs: readonly ServedTensor[];
  readonly outputs: readonly ServedTensor[];
  /** For Triton: what the first dimension may be, which then is one of its own; 0 (default): it is like any other. */
  readonly maxBatchSize?: number;
  /** What every request takes besides, as if the network were larger. */
  readonly delayMs?: number;
}

/** A graph, run by onnxruntime. Its own input and outputs have these names, FP32 each; other types are cast. */
export interface OnnxModel extends Served {
  readonly onnx: string;
  /** Of onnxruntime, 1 unless given. */
  readonly threads?: number;
}

/** Answers every request with the same tensors of these shapes, whatever came: a network that takes no time. */
export interface FixedModel extends Served {
  readonly fixed: readonly (readonly number[])[];
}

/** A network of test/support/torch, computed by PyTorch in bfloat16; for Triton only. All its tensors are BF16. */
export interface TorchModel extends Served {
  /** Its state dict. */
  readonly state: string;
  /** Keyword arguments of networks.build. */
  readonly network: Readonly<Record<string, string | number>>;
}

export type ServedModel = OnnxModel | FixedModel | TorchModel;
