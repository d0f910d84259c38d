/**
 * The end of a server's call as the connection sees it. When a handler has finished, messages and a
 * status may still be unsent, and a client that doesn't read can delay them indefinitely.
 */
import { resetStream } from './grpcInternals.js';

/** The part of a call, unary or a stream, that concerns its end. */
export interface EndingCall {
  readonly cancelled: boolean;
  once(event: 'cancelled', listener: () => void): unknown;
}

/** Calls back once, when the status is handed over or either side has cut the call. */
export function onCallEnd(call: EndingCall, callback: () => void): void {
  // grpc-js emits 'cancelled' after every end, also a regular one.
  if (call.cancelled) callback();
  else call.once('cancelled', callback);
}

/** Cuts the call unless it ends within `graceMs`; unsent messages are dropped. */
export function cutUnlessEnded(call: EndingCall, graceMs: number): void {
  if (call.cancelled) return;
  const timer = setTimeout(() => resetStream(call), graceMs);
  onCallEnd(call, () => clearTimeout(timer));
}
