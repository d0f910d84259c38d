/** What the main thread and the inference thread say to each other. */
import type { OnnxProvider } from '../../src/graphs/onnxGraph.js';
import type { GivenSettings } from '../../src/graphs/graphSettings.js';
import type { TeacherInfo } from '../../src/distill/teacher.js';
import type { EncodedOutput, OutputRequest } from '../../src/stream/names.js';
import type { EncodedTensor } from '../../src/wire/encodedTensor.js';

/** Which network to load. */
export type NetworkSource =
  | { readonly kind: 'checkpoint'; readonly path: string }
  | ({ readonly kind: 'graph' } & GraphSource)
  | ({ readonly kind: 'simulate' } & SimulateOptions);

/** A graph with what was said of it. */
export interface GraphSource {
  readonly format: 'onnx' | 'saved_model';
  readonly path: string;
  readonly provider: OnnxProvider;
  /** Inside one operation; 0: all cores. A SavedModel has those of TensorFlow. */
  readonly threads: number;
  readonly said: GivenSettings;
  /** Where settings may be said: for the message that asks for them. */
  readonly settingsFile: string;
}

export interface SimulateOptions {
  readonly classes: number;
  /** 0: no feature, no classifier. */
  readonly featureChannels: number;
  readonly outputStride: number;
  /** 0..4097; another one is another teacher. */
  readonly seed: number;
  /** Of a batch, and of each image in it besides. */
  readonly latencyMs: number;
  readonly imageMs: number;
}

/** Every n-th image gets the fault; 0: none does. */
export interface FaultOptions {
  readonly nonFiniteEvery: number;
  readonly failEvery: number;
  readonly stallEvery: number;
  readonly stallMs: number;
}

/** workerData of the thread. */
export interface WorkerSetup {
  readonly source: NetworkSource;
  readonly faults: FaultOptions;
  /** [height, width] of images put through the network before it is ready. */
  readonly warmUp: readonly (readonly [number, number])[];
  /** What the warm-up asks for: all that a student can; without a feature its outputs are left out. */
  readonly warmUpOutputs: readonly OutputRequest[];
}

/** One image; its pixels are moved to the thread. */
export interface WorkerImage {
  readonly height: number;
  readonly width: number;
  readonly rgb: Uint8Array<ArrayBuffer>;
}

export interface InferMessage {
  readonly job: number;
  readonly images: readonly WorkerImage[];
  readonly outputs: readonly OutputRequest[];
}

/** An error crosses threads as its parts. */
export type WorkerResult =
  | { readonly outputs: EncodedOutput[] }
  | { readonly failure: { readonly reason: FailureReason; readonly message: string } };

/** refused: the network can't take such an image, and asking again is no use. */
export type FailureReason = 'non_finite' | 'refused' | 'failed';

/** Errors cross threads as plain ones: what the reader tells them apart by goes along. */
export interface ErrorParts {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
}

export type WorkerMessage =
  | {
      readonly kind: 'ready';
      readonly info: TeacherInfo;
      readonly classifier: EncodedTensor | null;
    }
  | { readonly kind: 'unusable'; readonly error: ErrorParts }
  | { readonly kind: 'done'; readonly job: number; readonly results: readonly WorkerResult[] }
  | { readonly kind: 'failed'; readonly job: number; readonly message: string };

/** One result for each image: its outputs, or an Error that says which of them was not finite. */
export type NetworkResults = Array<EncodedOutput[] | Error>;

/**
 * A network as the thread drives it, one batch after the other. RefusedImageError in the place of an
 * image's outputs: the network can't take such an image.
 */
export interface Network {
  readonly info: TeacherInfo;
  infer(
    images: readonly WorkerImage[],
    outputs: readonly OutputRequest[],
  ): NetworkResults | Promise<NetworkResults>;
  /** See InferenceEngine. */
  classifier(): EncodedTensor | null;
  dispose(): void | Promise<void>;
}
