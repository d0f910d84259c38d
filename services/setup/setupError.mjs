/**
 * A step of the set-up that could not be done, in words for the person in front of it.
 * `message` says what failed, `mend` what to do about it.
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
 * @returns {string} the `code` of a Node.js system error, or '' where there is none
 */
export function systemCode(error) {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
