// The one error that the runner throws on purpose.

/** @import { ErrorCode } from './types.d.ts' */

export class WebconvError extends Error {
  /**
   * @param {ErrorCode} code for programs
   * @param {string} message the rule in words with the values, for people
   * @param {ErrorOptions} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = 'WebconvError';
    this.code = code;
  }
}
