/**
 * Errors as they cross threads. A structured clone keeps the class of JavaScript's own errors only,
 * and none of the fields.
 */
import type { ErrorClass } from './threadService.js';

export interface CrossingError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** The error's own fields (code, exitCode, …) but those that can't be cloned. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause: { readonly error: CrossingError } | { readonly value: unknown } | null;
}

const OWN_CLASSES: readonly ErrorClass[] = [
  ...[Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError],
];

/** Of anything that was thrown. */
export function toCrossing(thrown: unknown): CrossingError {
  if (!(thrown instanceof Error)) return toCrossing(new Error(String(thrown)));
  const { name, message, stack } = thrown;
  const fields = Object.entries(thrown).filter(
    ([key, value]) => key !== 'name' && key !== 'cause' && isClonable(value),
  );
  return { name, message, stack, fields: Object.fromEntries(fields), cause: causeOf(thrown) };
}

/**
 * The error again: of its class where that is one of `classes` or JavaScript's own, with its name, stack,
 * fields and cause in any case. No constructor runs, so a class's private fields are not there.
 */
export function fromCrossing(
  { name, message, stack, fields, cause }: CrossingError,
  classes: readonly ErrorClass[],
): Error {
  const error =
    cause === null
      ? new Error(message)
      : new Error(message, {
          cause: 'error' in cause ? fromCrossing(cause.error, classes) : cause.value,
        });
  const found = [...classes, ...OWN_CLASSES].find((each) => each.name === name);
  if (found !== undefined) Object.setPrototypeOf(error, found.prototype);
  Object.assign(error, fields);
  if (error.name !== name) error.name = name;
  if (stack === undefined) delete error.stack;
  else error.stack = stack;
  return error;
}

function causeOf({ cause }: Error): CrossingError['cause'] {
  if (cause instanceof Error) return { error: toCrossing(cause) };
  return cause === undefined || !isClonable(cause) ? null : { value: cause };
}

function isClonable(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}
