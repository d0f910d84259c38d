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
  /** The call below; resetStream (grpcInternals.ts) follows this name, grpc-js' own. */
  protected readonly nextCall: Call;
  #listener!: Listener;
  #cancelled = false;

  constructor(nextCall: Call) {
    this.nextCall = nextCall;
  }

  /** What an interceptor returns: a call of any class will do, grpc-js' types know one only. */
  get intercepting(): ServerInterceptingCall {
    return this as unknown as ServerInterceptingCall;
  }

  start(listener: Listener): void {
    this.#listener = listener;
    this.nextCall.start(this);
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
    this.nextCall.sendMetadata(metadata);
  }

  sendMessage(message: unknown, callback: () => void): void {
    this.nextCall.sendMessage(message, callback);
  }

  sendStatus(status: Parameters<Call['sendStatus']>[0]): void {
    this.nextCall.sendStatus(status);
  }

  startRead(): void {
    this.nextCall.startRead();
  }

  getPeer(): string {
    return this.nextCall.getPeer();
  }

  getDeadline(): ReturnType<Call['getDeadline']> {
    return this.nextCall.getDeadline();
  }

  getHost(): string {
    return this.nextCall.getHost();
  }

  getAuthContext(): ReturnType<Call['getAuthContext']> {
    return this.nextCall.getAuthContext();
  }

  getConnectionInfo(): ReturnType<Call['getConnectionInfo']> {
    return this.nextCall.getConnectionInfo();
  }

  getMetricsRecorder(): ReturnType<Call['getMetricsRecorder']> {
    return this.nextCall.getMetricsRecorder();
  }
}
