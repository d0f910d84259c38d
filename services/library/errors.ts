/** Errors of the public entry. */
import { describeFault } from '../program/exitCode.js';

/**
 * The exit code that `cirkd` ends with for this error: 2 config, usage or an address in use, 3 no
 * teacher, 4 a teacher that doesn't fit, 5 checkpoint or model file, 6 not finite, 7 data, 8 another rank
 * of a group lost, else 1.
 */
export function exitCodeOf(error: unknown): number {
  return describeFault(error).exitCode;
}
