/**
 * A step of the set-up failed. For the user, `message` says what failed and `mend` what to do about
 * it.
 */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {string} mend
   */
  constructor(message, mend) {
    super(message);
    this.name = 'SetupError';
    this.mend = mend;
  }
}

/**
 * @param {unknown} error
 * @returns {string} the `code` of a Node.js system error, or '' if there is none
 */
export function systemCode(error) {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
