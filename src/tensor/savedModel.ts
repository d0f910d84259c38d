/** A SavedModel in a session of TensorFlow's own: its loader reads graph and variables. */
import { binding } from './binding.js';
import { dtypeFromNumber } from './dtype.js';
import { Tensor } from './tensor.js';

/** A tensor by the name that a SavedModel's signature gives it: operation and output, "Identity:0". */
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
   * Reads graph and variables and runs the graph's initialisers. Blocks the thread.
   *
   * @throws Error TensorFlow's own: an op that it doesn't know, a variable whose checksum doesn't fit, …
   */
  static load(directory: string, tags: readonly string[]): SavedModelSession {
    return new SavedModelSession(binding().loadSavedModel(directory, tags.join(',')));
  }

  /**
   * Runs the part of the graph between `feeds` and `fetches`. Blocks the thread.
   *
   * @returns one tensor for each of `fetches`, with the graph's dtype, in the current scope
   * @throws Error TensorFlow's own: shapes that don't fit, memory, …
   */
  run(feeds: readonly Feed[], fetches: readonly string[]): Tensor[] {
    const ids = feeds.map(({ tensor }) => tensor.id);
    const names = feeds.map(({ name }) => name).join(',');
    const infos = binding().runSavedModel(this.#id, ids, names, fetches.join(','));
    return infos.map((info) => new Tensor(info.id, info.shape, dtypeFromNumber(info.dtype)));
  }

  /** Frees graph and variables. Harmless if done before. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    binding().deleteSavedModel(this.#id);
  }
}

/** Sessions open in this thread's TensorFlow. */
export function numSavedModels(): number {
  return binding().getNumOfSavedModels();
}
