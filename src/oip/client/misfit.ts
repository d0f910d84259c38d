/** Collects everything that is missing or doesn't fit, so that one error can say it all. */
import { ContractMismatchError } from '../../contract/teacher.js';
import type { MissingSetting, SettingKey } from './settings.js';

/** Settings that are needed and that the server doesn't answer either. */
export class MissingSettingsError extends ContractMismatchError {
  readonly missing: readonly MissingSetting[];
  /** What the server said, for people. */
  readonly said: string;

  constructor(address: string, missing: readonly MissingSetting[], said: string) {
    const asked = missing.map(({ key, question }) => `teacher.oip.${key} (${question})`).join('; ');
    super(`teacher ${address} doesn't say, and the config neither: ${asked}. It says: ${said}`);
    this.missing = missing;
    this.said = said;
  }
}

export class Misfits {
  readonly missing: MissingSetting[] = [];
  readonly faults: string[] = [];

  get isEmpty(): boolean {
    return this.missing.length + this.faults.length === 0;
  }

  ask(key: SettingKey, question: string): undefined {
    this.missing.push({ key, question });
    return undefined;
  }

  /** A fault names the field, the server's value and the student's. */
  fault(text: string): undefined {
    this.faults.push(text);
    return undefined;
  }

  /** Throws ContractMismatchError, or MissingSettingsError if nothing is wrong but something missing. */
  throwIfAny(address: string, said: string): void {
    if (this.faults.length > 0) {
      const asked = this.missing.map(
        ({ key, question }) => `missing: teacher.oip.${key} (${question})`,
      );
      throw new ContractMismatchError(
        `teacher ${address}: ${[...this.faults, ...asked].join('; ')}. It says: ${said}`,
      );
    }
    if (this.missing.length > 0) throw new MissingSettingsError(address, this.missing, said);
  }
}
