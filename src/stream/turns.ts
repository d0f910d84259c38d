/**
 * The images that wait, in order of turns. Runs take turns, and inside a run its streams: a student
 * gets the same share with one stream or several, with many images in flight or few.
 */
import type { Work } from './work.js';

export interface Waiting {
  readonly work: Work;
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
    const { name, stream, image } = waiting.work;
    const lines = this.#runs.get(name.run) ?? (new Map() as Lines);
    const line = lines.get(stream) ?? [];
    line.push(waiting);
    lines.set(stream, line);
    this.#runs.set(name.run, lines);
    this.#size += 1;
    this.#bytes += image.rgb.length;
  }

  /** Takes an image out; its stream and its run have had their turn. */
  take({ work }: Waiting): void {
    const { name, stream } = work;
    this.remove(work);
    const lines = this.#runs.get(name.run);
    const line = lines?.get(stream);
    if (lines && line) toEnd(lines, stream, line);
    if (lines) toEnd(this.#runs, name.run, lines);
  }

  /** False when it doesn't wait. */
  remove(work: Work): boolean {
    const lines = this.#runs.get(work.name.run);
    const line = lines?.get(work.stream);
    const index = line?.findIndex((waiting) => waiting.work === work) ?? -1;
    if (!lines || !line || index < 0) return false;
    line.splice(index, 1);
    if (line.length === 0) lines.delete(work.stream);
    if (lines.size === 0) this.#runs.delete(work.name.run);
    this.#size -= 1;
    this.#bytes -= work.image.rgb.length;
    return true;
  }
}

/** A Map keeps the order in which keys came. */
function toEnd<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  map.delete(key);
  map.set(key, value);
}
