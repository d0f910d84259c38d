/** The server can't listen where it was told to; the message names the address and the reason. */
export class BindError extends Error {
  override readonly name = 'BindError';
  readonly address: string;
  readonly inUse: boolean;

  /** `reason`: in our words; default: those of the cause. */
  constructor(address: string, cause: NodeJS.ErrnoException, reason?: string) {
    // grpc-js gives the text alone.
    const inUse = cause.code === 'EADDRINUSE' || /EADDRINUSE/.test(cause.message);
    const known = reason ?? (inUse ? 'the port is in use by another process' : cause.message);
    super(`cannot listen on ${address}: ${known}`, { cause });
    this.address = address;
    this.inUse = inUse;
  }
}
