export { UsageError } from '../program/usageError.js';

/** One of cirkd's commands. */
export interface Command {
  readonly name: string;
  /** One line for `cirkd --help`. */
  readonly summary: string;
  /** The output of `cirkd <name> --help`: a usage line, then the options. */
  readonly usage: string;
  /** `argv` has the arguments after the command's name. Resolves to the exit code; throws on a fault. */
  run(argv: string[]): Promise<number>;
}
