export { UsageError } from '../program/usageError.js';

/** One of cirkd's commands. */
export interface Command {
  readonly name: string;
  /** One line for `cirkd --help`. */
  readonly summary: string;
  /** What `cirkd <name> --help` prints: a usage line, then the options. */
  readonly usage: string;
  /** `argv` is what follows the command's name. Resolves to the exit code; throws on a fault. */
  run(argv: string[]): Promise<number>;
}
