/** Handlers as plain async functions: what they throw leaves through the door in errors.ts. */
import type {
  handleBidiStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServerUnaryCall,
} from '@grpc/grpc-js';
import { cutUnlessEnded } from './callEnd.js';
import { toCallStatus, type UnexpectedErrorSink } from './errors.js';

/** A unary call that answers with what `handle` resolves to. */
export function unaryHandler<Request, Response>(
  handle: (request: Request, call: ServerUnaryCall<Request, Response>) => Promise<Response>,
  onUnexpected: UnexpectedErrorSink,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const answer = async () => handle(call.request, call);
    answer().then(
      (response) => callback(null, response),
      (error: unknown) => callback(toCallStatus(error, onUnexpected)),
    );
  };
}

/**
 * A stream both ways. It ends OK when `handle` resolves, after everything written was sent, and
 * with the status of the error when it rejects. A call that the client has left takes neither; one
 * that it doesn't read is cut `closeGraceMs` later.
 */
export function duplexHandler<Request, Response>(
  handle: (call: ServerDuplexStream<Request, Response>) => Promise<void>,
  onUnexpected: UnexpectedErrorSink,
  closeGraceMs = 5000,
): handleBidiStreamingCall<Request, Response> {
  return (call) => {
    const run = async () => handle(call);
    run()
      .then(
        () => {
          call.end();
        },
        (error: unknown) => {
          const ending = toCallStatus(error, onUnexpected);
          if (!call.cancelled) call.emit('error', ending);
        },
      )
      .finally(() => cutUnlessEnded(call, closeGraceMs));
  };
}
