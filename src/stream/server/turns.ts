/**
 * The images that wait, in order of turns: round-robin over runs, and inside a run over its streams. A
 * student gets the same share with one stream or several, with many images in flight or few.
 */
import type { InferenceImage } from '../../contract/inference.js';
import type { EncodedOutput, OutputRequest } from '../../contract/outputs.js';

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

/** One image on its way through the queue and the network. */
export interface QueuedRequest {
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
  /** Not called for one that was removed or dropped. */
  readonly onResult: (result: EncodedOutput[] | Error) => void;
}

export interface Waiting {
  readonly request: QueuedRequest;
  readonly arrivedAtMs: number;
  /** Images with the same key may share a batch. */
  readonly batchKey: string;
}

/** By stream, in order of turns; no line is empty. */
type Lines = Map<object, Waiting[]>;

export class Turns {
  /** In order of turns; no run is empty. */
  readonly #runs = new Map<string, Lines>();
  #size = 0;
  #bytes = 0;

  /** Images. */
  get size(): number {
    return this.#size;
  }

  /** Of their pixels. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Each stream's images in order of arrival. */
  lines(): Waiting[][] {
    return [...this.#runs.values()].flatMap((lines) => [...lines.values()]);
  }

  /**
   * One image of each run, in order of turns: the first of a stream, and one that `fits`. It may be
   * taken before the next one is asked for.
   */
  *firsts(fits: (waiting: Waiting) => boolean): Generator<Waiting> {
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

  /** Takes an image out; its stream and its run have had their turn. */
  take({ request }: Waiting): void {
    const { name, stream } = request;
    this.remove(request);
    const lines = this.#runs.get(name.run);
    const line = lines?.get(stream);
    if (lines && line) toEnd(lines, stream, line);
    if (lines) toEnd(this.#runs, name.run, lines);
  }

  /** False when it doesn't wait. */
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

/** A Map keeps the order in which keys came. */
function toEnd<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  map.delete(key);
  map.set(key, value);
}
