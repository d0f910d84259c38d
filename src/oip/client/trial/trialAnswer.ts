/** Checks the answer to a trial image for what it was asked for. */
import { status } from '@grpc/grpc-js';
import { ContractMismatchError } from '../../../contract/teacher.js';
import { printable } from '../../../wire/printable.js';
import type { ModelInferResponse } from '../../generated/inference/ModelInferResponse.js';
import { CallError } from '../connection.js';
import { AnswerShapeError, checkForm, checkLengths, MissingOutputError } from '../inferAnswer.js';

/** The trial's answer lacks an output that is needed. */
export class IncompleteTrialError extends CallError {}

/** Throws CallError: the server is to be asked again. */
export function checkTrial(answer: ModelInferResponse, needed: readonly string[]): void {
  try {
    checkForm(answer, needed);
    checkLengths(answer);
  } catch (error) {
    if (!(error instanceof AnswerShapeError)) throw error;
    const kind = error instanceof MissingOutputError ? IncompleteTrialError : CallError;
    throw new kind('ModelInfer', status.DATA_LOSS, `the trial image's answer: ${error.message}`);
  }
}

/** Answers without a needed output, one after the other, after which the model counts as one without it. */
const MOST_INCOMPLETE = 3;

/** Counts the incomplete answers to one server's trials: a single one may be damaged, not the model. */
export class IncompleteTrials {
  #count = 0;

  /** A connection's first questions have ended, with or without an error. */
  ended(error?: unknown): void {
    this.#count = error instanceof IncompleteTrialError ? this.#count + 1 : 0;
  }

  /** Why the model doesn't fit; undefined: it's to be tried again. */
  misfit(error: unknown, address: string, model: string): ContractMismatchError | undefined {
    if (!(error instanceof IncompleteTrialError) || this.#count < MOST_INCOMPLETE) return undefined;
    return new ContractMismatchError(
      `teacher ${address}: model ${printable(model)} states an output that its answers lack, ${this.#count} times in a row: ${error.details}; name another output in teacher.oip, or feature: none`,
    );
  }
}
