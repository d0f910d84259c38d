/** What a process must have set before TensorFlow is opened in it; the command line does it in bin.mjs. */
import { ConfigError } from '../../src/config/configError.js';
import { expectBulkBuffers } from '../cli/bulkHeap.js';
import { engineEnvironment } from '../setup/engineEnvironment.mjs';

/**
 * Adds TensorFlow's settings to process.env where they are not set, and lets V8's heap grow further
 * between two collections. Throws ConfigError where CIRKD_GPU_MEMORY_MIB is no positive whole number.
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
