/** The calls from the main thread to the inference thread. */
import { ProviderError } from '../../src/graphs/providerError.js';
import type { OnnxProvider } from '../../src/graphs/onnxGraph.js';
import type { GivenSettings } from '../../src/graphs/graphSettings.js';
import { NonFiniteOutputError, RefusedImageError } from '../../src/contract/inference.js';
import type { Products } from '../../src/contract/products.js';
import type { EncodedOutput, OutputRequest } from '../../src/contract/outputs.js';
import type { TeacherInfo } from '../../src/contract/teacherInfo.js';
import type { InferenceEngine } from '../../src/stream/server/serving.js';
import type { ThreadService } from '../../src/threads/threadService.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import type { EncodedTensor } from '../../src/contract/encodedTensor.js';

/** Which network to load. */
export type NetworkSource =
  | { readonly kind: 'checkpoint'; readonly path: string; readonly products?: Products }
  | ({ readonly kind: 'graph' } & GraphSource)
  | ({ readonly kind: 'simulate' } & SimulateOptions);

/** A graph with its settings. */
export interface GraphSource {
  readonly format: 'onnx' | 'saved_model';
  readonly path: string;
  readonly provider: OnnxProvider;
  /** Threads within one operation; 0: all cores. A SavedModel uses TensorFlow's. */
  readonly threads: number;
  readonly given: GivenSettings;
  /** The file that may hold settings, for the message that asks for them. */
  readonly settingsFile: string;
}

export interface SimulateOptions {
  readonly classes: number;
  /** 0: no feature, no classifier. */
  readonly featureChannels: number;
  readonly outputStride: number;
  /** 0..4097; each seed is a different teacher. */
  readonly seed: number;
  /** Latency per batch, and additionally per image. */
  readonly latencyMs: number;
  readonly imageMs: number;
}

/** Each fault hits every n-th image; 0: none. */
export interface FaultOptions {
  readonly nonFiniteEvery: number;
  readonly failEvery: number;
  readonly stallEvery: number;
  readonly stallMs: number;
}

/** The arguments of `open`. */
export interface WorkerSetup {
  readonly source: NetworkSource;
  /** All threads of the process are to run on these processors; null: on any. */
  readonly processors: readonly number[] | null;
  readonly faults: FaultOptions;
  /** [height, width] of the images run through the network before it is ready. */
  readonly warmUp: readonly (readonly [number, number])[];
  /** Requested in the warm-up: all that a student may request; what the network doesn't have is left out. */
  readonly warmUpOutputs: readonly OutputRequest[];
}

/** One image; its pixels are moved to the thread. */
export interface WorkerImage {
  readonly height: number;
  readonly width: number;
  readonly rgb: Uint8Array<ArrayBuffer>;
}

/**
 * One result per image: its outputs, or an Error that concerns it alone (NonFiniteOutputError,
 * RefusedImageError, or an injected fault).
 */
export type NetworkResults = Array<EncodedOutput[] | Error>;

/**
 * A network as the thread runs it, one batch after the other. It returns a RefusedImageError in place
 * of an image's outputs if it can't process the image.
 */
export interface Network {
  readonly info: TeacherInfo;
  /** See InferenceEngine. */
  readonly batchPixels?: number | undefined;
  /** For the log: see TeacherNetwork.computes. */
  readonly computes?: string;
  infer(
    images: readonly WorkerImage[],
    outputs: readonly OutputRequest[],
  ): NetworkResults | Promise<NetworkResults>;
  /** See InferenceEngine. */
  classifier(): EncodedTensor | null;
  dispose(): void | Promise<void>;
}

/** The network is loaded and warm. */
export type OpenedNetwork = Pick<InferenceEngine, 'info' | 'classifier' | 'batchPixels'> &
  Pick<Network, 'computes'>;

/** The inference thread's calls; `open` comes first. */
export interface InferenceCalls {
  /** Throws CheckpointError, ProviderError. */
  open(setup: WorkerSetup): Promise<OpenedNetwork>;
  /** An error of the network fails the whole batch: the caller decides what to try next. */
  infer(images: readonly WorkerImage[], outputs: readonly OutputRequest[]): Promise<NetworkResults>;
}

/** Pixels and answers move between the threads. */
export const INFERENCE: ThreadService<InferenceCalls> = {
  thread: 'the inference thread',
  calls: {
    open: {},
    infer: {
      given: (images) => images.map(({ rgb }) => rgb.buffer),
      result: (results) =>
        results.flatMap((result) =>
          result instanceof Error ? [] : result.map(({ tensor }) => tensor.data),
        ),
    },
  },
  errors: [CheckpointError, ProviderError, NonFiniteOutputError, RefusedImageError],
};
