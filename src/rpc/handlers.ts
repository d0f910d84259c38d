/** Handlers as plain async functions; their errors become statuses as errors.ts says. */
import type {
  handleBidiStreamingCall,
  handleUnaryCall,
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
} from '@grpc/grpc-js';
import { cutUnlessEnded } from './callEnd.js';
import { toCallStatus, type UnexpectedErrorSink } from './errors.js';

/** A unary call, answered with the value that `handle` resolves to. */
export function unaryHandler<Request, Response>(
  handle: (request: Request, call: ServerUnaryCall<Request, Response>) => Promise<Response>,
  onUnexpected: UnexpectedErrorSink,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    void answer(handle, call, callback, onUnexpected);
  };
}

async function answer<Request, Response>(
  handle: (request: Request, call: ServerUnaryCall<Request, Response>) => Promise<Response>,
  call: ServerUnaryCall<Request, Response>,
  callback: sendUnaryData<Response>,
  onUnexpected: UnexpectedErrorSink,
): Promise<void> {
  let response: Response;
  try {
    response = await handle(call.request, call);
  } catch (error) {
    callback(toCallStatus(error, onUnexpected));
    return;
  }
  callback(null, response);
}

/**
 * A bidirectional stream. It ends OK when `handle` resolves, after everything written was sent, and
 * with the error's status when it rejects. If the client has left, no status is sent; if it doesn't
 * read, the call is cut `closeGraceMs` later.
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
