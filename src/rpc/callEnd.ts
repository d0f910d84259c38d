/**
 * The end of a server's stream as the connection sees it. A handler that has finished leaves
 * messages and a status behind, which a client that doesn't read holds up for as long as it likes.
 */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { resetStream } from './grpcInternals.js';

/** A call as far as its end goes. */
export type EndingCall = Pick<ServerDuplexStream<unknown, unknown>, 'cancelled' | 'once'>;

/** Calls back once, when the status is handed over or the call is cut, whoever did it. */
export function onCallEnd(call: EndingCall, callback: () => void): void {
  // grpc-js says 'cancelled' after every end.
  if (call.cancelled) callback();
  else call.once('cancelled', callback);
}

/** Cuts the call if it hasn't ended in `graceMs`: what is unsent is dropped. */
export function cutUnlessEnded(call: EndingCall, graceMs: number): void {
  if (call.cancelled) return;
  const timer = setTimeout(() => resetStream(call), graceMs);
  onCallEnd(call, () => clearTimeout(timer));
}
