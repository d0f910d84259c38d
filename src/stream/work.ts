/** One image on its way through the queue and the network. */
import type { InferenceImage } from '../contract/inference.js';
import type { EncodedOutput, OutputRequest } from '../contract/outputs.js';

/** What log lines of both sides call a request by. */
export interface RequestName {
  /** The student's run: it takes turns with other runs. */
  readonly run: string;
  readonly request: number;
  readonly attempt: number;
  /** Empty where the client gave none. */
  readonly sample: string;
}

/**
 * Why an image is not computed. evicted: its place went to somebody who held less; late: less time
 * is left than the network ever took.
 */
export type DropReason = 'evicted' | 'late';

export interface Work {
  readonly name: RequestName;
  /** Takes turns with other streams of its run. */
  readonly stream: object;
  readonly image: InferenceImage;
  readonly outputs: readonly OutputRequest[];
  readonly timeoutMs: number;
  /** False while there is no room for the answer; `wake` says that there may be some again. */
  readonly mayStart: () => boolean;
  /** It goes into the next batch; asked for the stream's next image, `mayStart` counts it. */
  readonly onStart: () => void;
  /** The image is not held by the queue any more: its batch starts, or it was removed. */
  readonly onLeave: () => void;
  /** The queue took it out by itself; onLeave came before. */
  readonly onDropped: (reason: DropReason) => void;
  /** Somebody waits for the result: asked before it is computed a second time. */
  readonly isWanted: () => boolean;
  /** Not called for work that was removed or dropped. */
  readonly onResult: (result: EncodedOutput[] | Error) => void;
}
