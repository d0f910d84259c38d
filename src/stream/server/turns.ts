/**
 * The waiting images in order of turns: round-robin over runs, and within a run over its streams. A
 * student's share doesn't depend on its number of streams or of images in flight.
 */
import type { InferenceImage } from '../../contract/inference.js';
import type { EncodedOutput, OutputRequest } from '../../contract/outputs.js';

/** The name of a request in the logs of both sides. */
export interface RequestName {
  /** The student's run, which takes turns with other runs. */
  readonly run: string;
  readonly request: number;
  readonly attempt: number;
  /** Empty if the client gave none. */
  readonly sample: string;
}

/**
 * Why an image is not computed. evicted: its place went to a run or stream that held less; late: less
 * time is left than the fastest forward pass took.
 */
export type DropReason = 'evicted' | 'late';

/** One image on its way through the queue and the network. */
export interface QueuedRequest {
  readonly name: RequestName;
  /** The image's stream, which takes turns with other streams of its run. */
  readonly stream: object;
  readonly image: InferenceImage;
  readonly outputs: readonly OutputRequest[];
  readonly timeoutMs: number;
  /** False while there is no room for the answer; call the queue's `wake` when there may be some. */
  readonly mayStart: () => boolean;
  /** The image joins the next batch; from now on `mayStart` of the stream's next image counts it. */
  readonly onStart: () => void;
  /** The queue no longer holds the image: its batch starts, or it was removed. */
  readonly onLeave: () => void;
  /** The queue dropped the image, after calling onLeave. */
  readonly onDropped: (reason: DropReason) => void;
  /** Whether the result is still wanted: checked before it is computed a second time. */
  readonly isWanted: () => boolean;
  /** Not called for an image that was removed or dropped. isCached: it wasn't computed for this request. */
  readonly onResult: (result: EncodedOutput[] | Error, isCached?: boolean) => void;
}

/** Where images go to be answered: the queue, or the cache in front of it. */
export interface RequestIntake {
  /** Images waiting. */
  readonly size: number;
  /** Returns false, and calls nothing, if the image can't wait here. */
  submit(request: QueuedRequest): boolean;
  /** Takes a waiting request out. Returns false if it isn't waiting (any more). */
  remove(request: QueuedRequest): boolean;
  /** Tries again to start requests that couldn't start before. */
  wake(): void;
}

export interface Waiting {
  readonly request: QueuedRequest;
  readonly arrivedAtMs: number;
  /** Images with the same key may share a batch. */
  readonly batchKey: string;
}

/** Waiting images by stream, in order of turns; no line is empty. */
type Lines = Map<object, Waiting[]>;

export class Turns {
  /** Runs in order of turns; none is empty. */
  readonly #runs = new Map<string, Lines>();
  #size = 0;
  #bytes = 0;

  /** Number of images. */
  get size(): number {
    return this.#size;
  }

  /** Bytes of the images' pixels. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Each stream's images in order of arrival. */
  lines(): Waiting[][] {
    return [...this.#runs.values()].flatMap((lines) => [...lines.values()]);
  }

  /** Visits every image without a copy of the lines: nothing may be added or taken out meanwhile. */
  forEach(visit: (waiting: Waiting) => void): void {
    for (const lines of this.#runs.values()) {
      for (const line of lines.values()) line.forEach(visit);
    }
  }

  /**
   * One image of each run, in order of turns: the first that `fits` among the heads of the run's
   * streams. The caller may take it before it asks for the next one.
   */
  *heads(fits: (waiting: Waiting) => boolean): Generator<Waiting> {
    for (const lines of [...this.#runs.values()]) {
      for (const [head] of lines.values()) {
        if (head === undefined || !fits(head)) continue;
        yield head;
        break;
      }
    }
  }

  add(waiting: Waiting): void {
    const { name, stream, image } = waiting.request;
    const lines = this.#runs.get(name.run) ?? (new Map() as Lines);
    const line = lines.get(stream) ?? [];
    line.push(waiting);
    lines.set(stream, line);
    this.#runs.set(name.run, lines);
    this.#size += 1;
    this.#bytes += image.rgb.length;
  }

  /** Takes an image out and moves its stream and its run to the end of the order. */
  take({ request }: Waiting): void {
    const { name, stream } = request;
    this.remove(request);
    const lines = this.#runs.get(name.run);
    const line = lines?.get(stream);
    if (lines && line) toEnd(lines, stream, line);
    if (lines) toEnd(this.#runs, name.run, lines);
  }

  /** Returns false if the request isn't waiting. */
  remove(request: QueuedRequest): boolean {
    const lines = this.#runs.get(request.name.run);
    const line = lines?.get(request.stream);
    const index = line?.findIndex((waiting) => waiting.request === request) ?? -1;
    if (!lines || !line || index < 0) return false;
    line.splice(index, 1);
    if (line.length === 0) lines.delete(request.stream);
    if (lines.size === 0) this.#runs.delete(request.name.run);
    this.#size -= 1;
    this.#bytes -= request.image.rgb.length;
    return true;
  }
}

/** Moves a key to the end: a Map keeps the order of insertion. */
function toEnd<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  map.delete(key);
  map.set(key, value);
}
