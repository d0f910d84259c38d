/**
 * Listening on a Unix socket. Its file stays behind when a process is killed: the file of a dead process
 * is replaced, that of a living one is refused.
 */
import { chmodSync } from 'node:fs';
import { lstat, rm, stat } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { unixPath } from '../contract/unixAddress.js';
import { BindError } from './bindError.js';
import { withLockFile } from './lockFile.js';

export interface UnixSocket {
  /** unix:path */
  readonly address: string;
  /** Permissions of the file: whoever may write to it may connect. */
  readonly mode: number;
}

/**
 * Resolves when `listener` listens; it removes the file when it is closed. Rejects with BindError: another
 * process listens there, the path is that of something else, its folder is missing or not writable, its
 * lock file stays.
 */
export async function listenOnUnixSocket(listener: Server, socket: UnixSocket): Promise<void> {
  const { address, mode } = socket;
  const path = unixPath(address);
  try {
    // Only one process at a time looks whether a file is that of a dead process and replaces it: another's
    // could be new there, and between its bind and its listen it looks dead.
    await withLockFile(`${path}.lock`, async () => {
      await removeDead(path);
      await listen(listener, path, mode);
    });
  } catch (error) {
    const cause = error as Error;
    throw new BindError(address, cause, await bindReason(path, cause));
  }
}

/** The file has its permissions from its first moment on. */
function listen(listener: Server, path: string, mode: number): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject).once('listening', () => {
      listener.off('error', reject);
      resolve();
    });
    // Node.js binds inside the call. Threads can't change the umask; there the mode comes right after.
    const before = isMainThread ? process.umask(0o777 & ~mode) : null;
    try {
      listener.listen({ path });
    } finally {
      if (before !== null) process.umask(before);
    }
    if (before === null && listener.listening) chmodSync(path, mode);
  });
}

/** What is at the path, in our words. */
class TakenError extends Error {
  override readonly name = 'TakenError';
  readonly code: 'EADDRINUSE' | 'EEXIST';

  constructor(message: string, code: TakenError['code'] = 'EEXIST') {
    super(message);
    this.code = code;
  }
}

/** Removes the socket file of a process that is gone. Rejects if something else is at the path. */
async function removeDead(path: string): Promise<void> {
  const status = await lstat(path).catch((error: Error) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
  if (status === null) return;
  if (!status.isSocket()) throw new TakenError('there is a file that is not a socket');
  const fault = await connectFault(path);
  // EAGAIN: more connections wait than it takes.
  if (fault === null || fault === 'EAGAIN') {
    throw new TakenError('another process listens there', 'EADDRINUSE');
  }
  if (fault !== 'ECONNREFUSED') {
    throw new TakenError(`there is a socket that can't be asked (${fault})`);
  }
  await rm(path);
}

/** The code of the error with which a connection fails, or null if somebody takes it. */
function connectFault(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(null);
    });
    socket.once('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => resolve(code));
  });
}

/** Node.js says EACCES for a missing folder, too. */
async function bindReason(path: string, cause: Error): Promise<string> {
  const folder = dirname(path);
  const isThere = await stat(folder).then(
    () => true,
    (error: Error) => codeOf(error) !== 'ENOENT',
  );
  if (!isThere) return `the folder ${folder} does not exist`;
  if (codeOf(cause) !== 'EACCES') return cause.message;
  return `the folder ${folder} or what is in it can't be written: permission denied`;
}

function codeOf(error: NodeJS.ErrnoException): string | undefined {
  return error.code;
}
