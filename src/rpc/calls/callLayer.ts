/**
 * A server's call with something between it and its handler, for every call of a busy method: one object,
 * where grpc-js' own ServerInterceptingCall makes a dozen objects and functions per call.
 */
import type {
  Metadata,
  ServerInterceptingCall,
  ServerInterceptingCallInterface,
} from '@grpc/grpc-js';

type Call = ServerInterceptingCallInterface;
type Listener = Parameters<Call['start']>[0];

/** Passes everything on, both ways; what a subclass overrides, it has to pass on itself (`super`). */
export class CallLayer implements Call, Listener {
  /** The call below; resetStream (grpcInternals.ts) follows it. */
  readonly below: Call;
  #listener!: Listener;
  #cancelled = false;

  constructor(below: Call) {
    this.below = below;
  }

  /** What an interceptor returns: a call of any class will do, grpc-js' types know one only. */
  get intercepting(): ServerInterceptingCall {
    return this as unknown as ServerInterceptingCall;
  }

  start(listener: Listener): void {
    this.#listener = listener;
    this.below.start(this);
  }

  /** Nothing comes after the end of the call. */
  onReceiveMetadata(metadata: Metadata): void {
    if (!this.#cancelled) this.#listener.onReceiveMetadata(metadata);
  }

  onReceiveMessage(message: unknown): void {
    if (!this.#cancelled) this.#listener.onReceiveMessage(message);
  }

  onReceiveHalfClose(): void {
    if (!this.#cancelled) this.#listener.onReceiveHalfClose();
  }

  /** The call has ended, in whatever way. */
  onCancel(): void {
    this.#cancelled = true;
    this.#listener.onCancel();
  }

  sendMetadata(metadata: Metadata): void {
    this.below.sendMetadata(metadata);
  }

  sendMessage(message: unknown, callback: () => void): void {
    this.below.sendMessage(message, callback);
  }

  sendStatus(status: Parameters<Call['sendStatus']>[0]): void {
    this.below.sendStatus(status);
  }

  startRead(): void {
    this.below.startRead();
  }

  getPeer(): string {
    return this.below.getPeer();
  }

  getDeadline(): ReturnType<Call['getDeadline']> {
    return this.below.getDeadline();
  }

  getHost(): string {
    return this.below.getHost();
  }

  getAuthContext(): ReturnType<Call['getAuthContext']> {
    return this.below.getAuthContext();
  }

  getConnectionInfo(): ReturnType<Call['getConnectionInfo']> {
    return this.below.getConnectionInfo();
  }

  getMetricsRecorder(): ReturnType<Call['getMetricsRecorder']> {
    return this.below.getMetricsRecorder();
  }
}
