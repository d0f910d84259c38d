/**
 * The error type that becomes a gRPC status, and the only function that converts errors to statuses.
 */
import { status as GrpcStatus } from '@grpc/grpc-js';

/** google.rpc.Code, by number; `GrpcStatus.X` names them. */
export type GrpcCode = (typeof GrpcStatus)[keyof typeof GrpcStatus];

export { GrpcStatus };

/** An error whose message may be shown to the peer. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: GrpcCode;

  /** @param message names the field, what came and what was wanted. */
  constructor(code: GrpcCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** INVALID_ARGUMENT: what came is nonsense, and would be in any state of the server. */
export function invalidArgument(message: string): RpcError {
  return new RpcError(GrpcStatus.INVALID_ARGUMENT, message);
}

/** The status that is sent when a call ends. */
export interface CallStatus {
  readonly code: GrpcCode;
  readonly details: string;
}

/** Receives every error that isn't an RpcError: it is a bug, and belongs in the log. */
export type UnexpectedErrorSink = (error: unknown) => void;

/**
 * Converts an RpcError unchanged, and any other error to INTERNAL without its message, which could
 * reveal paths and internals. The whole error goes to `onUnexpected`.
 */
export function toCallStatus(error: unknown, onUnexpected: UnexpectedErrorSink): CallStatus {
  if (error instanceof RpcError) return { code: error.code, details: error.message };
  onUnexpected(error);
  return { code: GrpcStatus.INTERNAL, details: "internal error; see the server's log" };
}

/** "RESOURCE_EXHAUSTED" for 8; the number itself for a code that gRPC doesn't define. */
export function grpcCodeName(code: number): string {
  return GrpcStatus[code] ?? String(code);
}
