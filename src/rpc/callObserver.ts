/** An interceptor that reports every call to hooks, so that metrics and logs stay out of src/rpc. */
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
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
    const startedAtMs = performance.now();
    let ended = false;
    const end = (code: GrpcCode) => {
      if (ended) return;
      ended = true;
      hooks.onEnd?.(method.path, code, (performance.now() - startedAtMs) / 1000);
    };
    hooks.onStart?.(method.path);
    return new ServerInterceptingCall(call, {
      start(next) {
        next({ onCancel: () => end(GrpcStatus.CANCELLED) });
      },
      sendStatus(status, next) {
        end(status.code);
        next(status);
      },
    });
  };
}
