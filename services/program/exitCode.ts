/** Converts every fault that ends the program to a line for the user and an exit code. */
import { setupCommand } from '../setup/layout.mjs';
import { packageRoot } from './packageRoot.js';

/** Exit codes by the name of the error. 1 is for unforeseen errors. */
export const EXIT_CODES: Readonly<Record<string, number>> = {
  ConfigError: 2,
  UsageError: 2,
  SetupError: 2,
  StaleAddonError: 2,
  KernelSettingError: 2,
  ProcessorsError: 2,
  ProviderError: 2,
  ListenError: 2,
  RunFolderError: 2,
  SecurityFileError: 2,
  BindError: 2,
  RankMismatchError: 2,
  TeacherUnavailableError: 3,
  ContractMismatchError: 4,
  ImageRefusedError: 4,
  CheckpointError: 5,
  NonFiniteLossError: 6,
  NonFiniteReplyError: 6,
  NonFiniteLogitsError: 6,
  DataError: 7,
  RankLostError: 8,
};

/** System errors that mean a setting is wrong. */
const SETTING_CODES: ReadonlySet<string> = new Set(['EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES']);

export interface Fault {
  readonly exitCode: number;
  /** Readable, without a stack. */
  readonly message: string;
  /** What to do about it, if known. */
  readonly hint: string | null;
}

/** Describes the error that a command threw. */
export function describeFault(error: unknown): Fault {
  if (!(error instanceof Error)) return { exitCode: 1, message: String(error), hint: null };
  const code = systemCode(error);
  if (code === 'EADDRINUSE') {
    return { exitCode: 2, message: `The address ${addressOf(error)} is in use.`, hint: null };
  }
  if (code.startsWith('ERR_PARSE_ARGS')) {
    return {
      exitCode: 2,
      message: error.message,
      hint: 'cirkd <command> --help lists the options.',
    };
  }
  if (needsSetup(error, code)) {
    return {
      exitCode: 2,
      message: firstLine(error.message),
      hint: `Run: ${setupCommand(packageRoot())}`,
    };
  }
  const mapped = EXIT_CODES[error.name];
  const exitCode = mapped ?? (SETTING_CODES.has(code) ? 2 : 1);
  const hint = hintOf(error, exitCode);
  const message = mapped === undefined ? `${error.name}: ${error.message}` : error.message;
  return { exitCode, message, hint };
}

function hintOf(error: Error, exitCode: number): string | null {
  if (exitCode === 1) return 'CIRKD_DEBUG=1 prints the stack trace.';
  if (error.name === 'UsageError') return 'cirkd --help lists the commands.';
  if ('mend' in error && typeof error.mend === 'string') return `To fix it: ${error.mend}`;
  return null;
}

function systemCode(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Node's own `listen EADDRINUSE: address already in use 127.0.0.1:50051` ends with the address. */
function addressOf(error: Error): string {
  const { address, port } = error as Error & { address?: string; port?: number };
  if (address !== undefined && port !== undefined && port >= 0) return `${address}:${port}`;
  return address ?? error.message.split(' ').at(-1) ?? 'requested';
}

function needsSetup(error: Error, code: string): boolean {
  const missingPackage =
    (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') &&
    /Cannot find (package|module) '[^./]/.test(error.message);
  return missingPackage || code === 'ERR_DLOPEN_FAILED';
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}
