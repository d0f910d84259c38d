/** `cirkd import` in this process. */
import assert from 'node:assert/strict';
import { command } from '../../../services/cli/commands/import.js';
import { describeFault } from '../../../services/program/exitCode.js';
import { namedFloats } from '../../../src/models/namedValues.js';
import type { NamedTensors } from '../../../src/wire/safetensors.js';

/** What the command throws, as the program shows it. */
export async function importFault(
  ...argv: string[]
): Promise<{ exitCode: number; message: string }> {
  try {
    await command.run(argv);
  } catch (error) {
    return describeFault(error);
  }
  return assert.fail(`${argv.join(' ')}: no error`);
}

/** The values of all that is no batch count. */
export function floatsOf(dict: NamedTensors): Map<string, Float32Array> {
  const all = [...dict].filter(([, { dtype }]) => dtype !== 'I64');
  return new Map(all.map(([name, tensor]) => [name, namedFloats(name, tensor)]));
}
