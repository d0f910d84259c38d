/** `cirkd import` in this process. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
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

/** What the command prints; it must end with 0. */
export async function importOutput(t: TestContext, ...argv: string[]): Promise<string> {
  const { mock } = t.mock.method(process.stdout, 'write');
  try {
    assert.equal(await command.run(argv), 0);
    const texts = mock.calls.map(({ arguments: [text] }) => text as unknown);
    return texts.filter((text) => typeof text === 'string').join('');
  } finally {
    mock.restore();
  }
}

/** The values of all that is no batch count. */
export function floatsOf(dict: NamedTensors): Map<string, Float32Array> {
  const all = [...dict].filter(([, { dtype }]) => dtype !== 'I64');
  return new Map(all.map(([name, tensor]) => [name, namedFloats(name, tensor)]));
}
