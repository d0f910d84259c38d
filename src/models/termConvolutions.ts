/**
 * The 1x1 convolutions, without bias, of FitNet's and CWD's terms: from the student's channels to the
 * teacher's, trained with the student and needed for nothing else. Sources: docs/losses.md.
 */
import type { Parameter, Tape, Var } from '../tensor/index.js';
import { Builder, type WeightSource } from './builder.js';
import { TrainedPart } from './trainedPart.js';

/** Begins the names of the weights: `term_convolutions.<term>.weight`. */
export const TERM_CONVOLUTIONS = 'term_convolutions';

export class TermConvolutions extends TrainedPart {
  readonly #weights: ReadonlyMap<string, Parameter>;

  /** One convolution per term. */
  constructor(
    terms: readonly string[],
    studentChannels: number,
    teacherChannels: number,
    weights: WeightSource,
  ) {
    super();
    const at = new Builder(this.state, weights).at(TERM_CONVOLUTIONS);
    const shape = [teacherChannels, studentChannels, 1, 1];
    this.#weights = new Map(
      terms.map((term) => [term, at.at(term).parameter('weight', shape, 'convolution')]),
    );
  }

  /** The term's weights [1, 1, C, D] on the tape; null: it has no convolution. */
  weights(tape: Tape, term: string): Var | null {
    const parameter = this.#weights.get(term);
    return parameter === undefined ? null : tape.parameter(parameter);
  }
}
