/** An interceptor that reports every call to hooks, so that metrics and logs stay out of src/rpc. */
import type { ServerInterceptingCallInterface, ServerInterceptor } from '@grpc/grpc-js';
import { CallLayer } from './calls/callLayer.js';
import { type GrpcCode, GrpcStatus } from './errors.js';

export interface CallHooks {
  /** @param method the full path, "/package.Service/Method" */
  onStart?(method: string): void;
  /**
   * Called exactly once per call. CANCELLED also stands for calls that the library itself ended, for
   * example because of a message beyond the receive limit.
   */
  onEnd?(method: string, code: GrpcCode, seconds: number): void;
}

export function callObserver(hooks: CallHooks): ServerInterceptor {
  return (method, call) => {
    hooks.onStart?.(method.path);
    return new ObservedCall(call, method.path, hooks).intercepting;
  };
}

class ObservedCall extends CallLayer {
  readonly #method: string;
  readonly #hooks: CallHooks;
  readonly #startedAtMs = performance.now();
  #ended = false;

  constructor(call: ServerInterceptingCallInterface, method: string, hooks: CallHooks) {
    super(call);
    this.#method = method;
    this.#hooks = hooks;
  }

  override sendStatus(status: Parameters<CallLayer['sendStatus']>[0]): void {
    this.#end(status.code);
    super.sendStatus(status);
  }

  override onCancel(): void {
    this.#end(GrpcStatus.CANCELLED);
    super.onCancel();
  }

  #end(code: GrpcCode): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#hooks.onEnd?.(this.#method, code, (performance.now() - this.#startedAtMs) / 1000);
  }
}
