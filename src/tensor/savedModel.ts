/** A SavedModel in a TensorFlow session; TensorFlow's loader reads its graph and variables. */
import { binding } from './binding.js';
import { dtypeFromNumber } from './dtype.js';
import { Tensor } from './tensor.js';

/** An input with its name in a SavedModel's signature: operation and output, as in "Identity:0". */
export interface Feed {
  readonly name: string;
  readonly tensor: Tensor;
}

export class SavedModelSession {
  readonly #id: number;
  #closed = false;

  private constructor(id: number) {
    this.#id = id;
  }

  /**
   * Reads the graph and its variables and runs the graph's initialisers. Blocks the thread.
   *
   * @throws Error from TensorFlow, e.g. on an unknown op or a variable with a wrong checksum
   */
  static load(directory: string, tags: readonly string[]): SavedModelSession {
    return new SavedModelSession(binding().loadSavedModel(directory, tags.join(',')));
  }

  /**
   * Runs the part of the graph between `feeds` and `fetches`. Blocks the thread.
   *
   * @returns one tensor per fetch, with the graph's dtype, in the current scope
   * @throws Error from TensorFlow, e.g. on shapes that don't fit or lack of memory
   */
  run(feeds: readonly Feed[], fetches: readonly string[]): Tensor[] {
    const ids = feeds.map(({ tensor }) => tensor.id);
    const names = feeds.map(({ name }) => name).join(',');
    const infos = binding().runSavedModel(this.#id, ids, names, fetches.join(','));
    return infos.map((info) => new Tensor(info.id, info.shape, dtypeFromNumber(info.dtype)));
  }

  /** Frees the graph and its variables; may be called more than once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    binding().deleteSavedModel(this.#id);
  }
}

/** Number of open sessions in this thread's TensorFlow. */
export function numSavedModels(): number {
  return binding().getNumOfSavedModels();
}
