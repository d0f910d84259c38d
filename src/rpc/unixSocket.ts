/**
 * Listening on a Unix socket. Its file stays behind when a process is killed: the file of a dead process
 * is replaced, that of a living one is refused.
 */
import { chmodSync } from 'node:fs';
import { link, lstat, rename, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { unixPath } from '../contract/unixAddress.js';
import { BindError } from './bindError.js';

export interface UnixSocket {
  /** unix:path */
  readonly address: string;
  /** Permissions of the file: whoever may write to it may connect. */
  readonly mode: number;
}

/** Other processes may begin on the same path at the same moment. */
const ATTEMPTS = 5;

/** Dead files renamed by this process, each to a name of its own. */
let taken = 0;

/**
 * Resolves when `listener` listens; it removes the file when it is closed. Rejects with BindError: another
 * process listens there, the path is that of something else, its folder is missing or not writable.
 */
export async function listenOnUnixSocket(listener: Server, socket: UnixSocket): Promise<void> {
  const { address, mode } = socket;
  const path = unixPath(address);
  for (let attempt = 1; ; attempt++) {
    try {
      await listen(listener, path, mode);
      return;
    } catch (error) {
      const cause = error as NodeJS.ErrnoException;
      if (cause.code !== 'EADDRINUSE' || attempt === ATTEMPTS) {
        throw new BindError(address, cause, await bindReason(path, cause));
      }
      const refusal = await clearPath(path);
      if (refusal !== null) throw new BindError(address, cause, refusal);
    }
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

/** Removes the socket file of a process that is gone. Returns why it can't be, or null. */
async function clearPath(path: string): Promise<string | null> {
  const found = await identity(path);
  if (found === null) return null;
  if (!found.isSocket) return 'there is a file that is not a socket';
  const fault = await connectFault(path);
  if (fault === null || fault === 'EAGAIN') return 'another process listens there';
  if (fault === 'ENOENT') return null;
  if (fault !== 'ECONNREFUSED') return `there is a socket that can't be asked (${fault})`;
  return takeAway(path, found.text);
}

/**
 * The dead file is first renamed: if another process has replaced it since, that one's file is seen in
 * time and put back.
 */
async function takeAway(path: string, dead: string): Promise<string | null> {
  const aside = `${path}.${process.pid}.${++taken}`;
  try {
    await rename(path, aside);
    if ((await identity(aside))?.text !== dead) await link(aside, path);
    await unlink(aside);
    return null;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT'
      ? null
      : `the socket of a process that is gone is in the way: ${message}`;
  }
}

interface Identity {
  readonly isSocket: boolean;
  /** Another file at the same path has another text; a renamed one keeps it. */
  readonly text: string;
}

async function identity(path: string): Promise<Identity | null> {
  try {
    const status = await lstat(path, { bigint: true });
    const { dev, ino, mtimeNs } = status;
    return { isSocket: status.isSocket(), text: `${dev} ${ino} ${mtimeNs}` };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
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
async function bindReason(path: string, cause: NodeJS.ErrnoException): Promise<string> {
  if (cause.code === 'EADDRINUSE') return 'other processes keep taking the path';
  const folder = await identity(dirname(path)).catch(() => undefined);
  if (folder === null) return `the folder ${dirname(path)} does not exist`;
  return cause.code === 'EACCES'
    ? `no socket can be made in the folder ${dirname(path)}: permission denied`
    : cause.message;
}
