/** Settings that a process needs before it opens TensorFlow; the command line makes them in bin.mjs. */
import { ConfigError } from '../../src/config/configError.js';
import { expectBulkBuffers } from '../program/bulkHeap.js';
import { engineEnvironment } from '../setup/engineEnvironment.mjs';

/**
 * Adds TensorFlow's settings to process.env unless they are set, and lets V8's heap grow further
 * between collections. Throws ConfigError if CIRKD_GPU_MEMORY_MIB isn't a positive whole number.
 */
export function prepareEngine(): void {
  try {
    Object.assign(process.env, engineEnvironment(process.env));
  } catch (error) {
    const message = (error as Error).message;
    throw new ConfigError('environment', [{ key: '', line: null, override: null, message }]);
  }
  expectBulkBuffers();
}
