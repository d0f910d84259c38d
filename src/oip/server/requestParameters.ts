/** Parameters of a request: Triton's are checked as Triton checks them, unknown ones are accepted. */
import { printable } from '../../wire/printable.js';
import type { InferParameter } from '../generated/inference/InferParameter.js';
import { invalidArgument } from './modelErrors.js';

type Choice = NonNullable<InferParameter['parameterChoice']>;

/** The names of the choices in messages. */
const FIELD: Readonly<Record<Choice, string>> = {
  boolParam: 'bool_param',
  int64Param: 'int64_param',
  stringParam: 'string_param',
  doubleParam: 'double_param',
  uint64Param: 'uint64_param',
};

/** Triton's parameters and the types that they may have. `priority` and sequences have no effect here. */
const TYPES: Readonly<Record<string, readonly Choice[]>> = {
  priority: ['int64Param', 'uint64Param'],
  timeout: ['int64Param'],
  sequence_id: ['int64Param', 'stringParam'],
  sequence_start: ['boolParam'],
  sequence_end: ['boolParam'],
  triton_enable_empty_final_response: ['boolParam'],
};

/**
 * Throws RpcError INVALID_ARGUMENT. Returns the milliseconds of `timeout`, which is in microseconds;
 * null: none, as also 0 says.
 */
export function checkParameters(
  parameters: Readonly<Record<string, InferParameter>>,
): number | null {
  for (const [key, { parameterChoice, int64Param = 0 }] of Object.entries(parameters)) {
    const types = Object.hasOwn(TYPES, key) ? TYPES[key] : undefined;
    if (types === undefined && key.startsWith('triton_')) {
      throw invalidArgument(
        "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting with 'triton_' are allowed: triton_enable_empty_final_response",
      );
    }
    const isRight = types?.includes(parameterChoice as Choice) ?? parameterChoice !== undefined;
    if (!isRight) throw wrongType(key, types ?? ['int64Param', 'boolParam', 'stringParam']);
    if (key === 'priority' && int64Param < 0) {
      throw invalidArgument("invalid value for 'priority', expected value >= 0.");
    }
  }
  const timeout = Object.hasOwn(parameters, 'timeout') ? parameters['timeout'] : undefined;
  const microseconds = timeout?.int64Param ?? 0;
  return microseconds > 0 ? Math.max(1, Math.ceil(microseconds / 1000)) : null;
}

function wrongType(key: string, types: readonly Choice[]): Error {
  const wanted = types.map((type) => FIELD[type]).join(' or ');
  return invalidArgument(
    `invalid value type for '${printable(key)}' parameter, expected ${wanted}.`,
  );
}
