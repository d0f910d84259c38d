/** Errors of the public entry. */
import { DataError } from '../../src/data/types.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { describeFault } from '../cli/exitCode.js';

/** Errors that threads throw too: those cross as plain Errors with the name. */
const CROSSING = { CheckpointError, DataError } as const;

/**
 * The exit code that `cirkd` ends with for this error: 2 config, usage or an address in use, 3 no
 * teacher, 4 a teacher that doesn't fit, 5 checkpoint or model file, 6 not finite, 7 data, else 1.
 */
export function exitCodeOf(error: unknown): number {
  return describeFault(error).exitCode;
}

/** Awaits `work`; an error that came from a thread is of its class again, with its stack. */
export async function withErrorClasses<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && Object.hasOwn(CROSSING, error.name)) {
      Object.setPrototypeOf(error, CROSSING[error.name as keyof typeof CROSSING].prototype);
    }
    throw error;
  }
}
