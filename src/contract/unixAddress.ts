/**
 * Addresses of Unix sockets in gRPC's name syntax, `unix:path` or `unix:///absolute/path`: the same text
 * names a socket to the teacher that listens on it and to the students that connect.
 */

/** What Linux takes for a socket's path: sun_path of unix(7) has 108 bytes, the last one is zero. */
export const MAX_UNIX_PATH_BYTES = 107;

/** How messages describe a valid address. */
export const UNIX_ADDRESS_FORM = `unix:path, the path at most ${MAX_UNIX_PATH_BYTES} bytes long`;

/** Whether the text is meant as the address of a Unix socket, valid or not. */
export function namesUnixSocket(address: string): boolean {
  return /^unix(-abstract)?:/.test(address);
}

/**
 * The path of a Unix socket's address. Throws RangeError, whose message says what is wrong with it:
 * another form, an abstract socket (grpc-js has no resolver for them), or a path that is too long.
 */
export function unixPath(address: string): string {
  if (address.startsWith('unix-abstract:')) {
    throw new RangeError('an abstract socket, which is not supported');
  }
  // After two slashes comes an authority, which has to be empty.
  const [, path] = /^unix:(?:\/\/(?=\/))?(?!\/\/)([^\s\0]+)$/.exec(address) ?? [];
  if (path === undefined) throw new RangeError('not a Unix socket address');
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > MAX_UNIX_PATH_BYTES) throw new RangeError(`a path of ${bytes} bytes`);
  return path;
}

/** Whether `unixPath` takes the text. */
export function isUnixAddress(address: string): boolean {
  try {
    return unixPath(address) !== '';
  } catch {
    return false;
  }
}
