/** Opens a store of answers that a config names. */
import type { AnswerHooks } from '../../src/answers/answerHooks.js';
import { AnswerStore } from '../../src/answers/store/answerStore.js';
import { StoreDiskError, StoreFolderError } from '../../src/answers/store/storeFolder.js';
import { ConfigError } from '../../src/config/configError.js';

export interface StoreSettings {
  readonly directory: string;
  readonly maxMiB: number;
  readonly hooks: AnswerHooks;
}

/**
 * null: its disk fails, which is reported as a later fault of the disk would be. Rejects with ConfigError, which
 * names the key and the folder, if the folder can't be used.
 */
export async function openStore(
  service: string,
  key: string,
  { directory, maxMiB, hooks }: StoreSettings,
): Promise<AnswerStore | null> {
  try {
    return await AnswerStore.open({ directory, maxBytes: maxMiB * 2 ** 20, hooks });
  } catch (error) {
    if (error instanceof StoreDiskError) {
      hooks.onProblem(`answers: opening the store failed, going on without: ${error.message}`);
      return null;
    }
    if (!(error instanceof StoreFolderError)) throw error;
    throw new ConfigError(service, [{ key, line: null, override: null, message: error.message }]);
  }
}
