/** The thread's end of its calls. */
import { parentPort } from 'node:worker_threads';
import { toCrossing } from './crossingError.js';
import { type AnswerMessage, type CallMessage, FINISH } from './messages.js';
import { computeInBackground } from './priority.js';
import type { CallsOf, ThreadHandlers, ThreadService, Transfers } from './threadService.js';

type Untyped = (...args: unknown[]) => unknown;

/**
 * Answers the calls of the thread that started this one, one after the other in the order they came, a
 * call that gives a promise included. What a handler throws is that call's error and ends nothing.
 * From here on the thread gives way to those that answer (see computeInBackground).
 *
 * For the end of a worker thread's module; throws anywhere else.
 */
export function serveCalls<Api extends CallsOf<Api>>(
  service: ThreadService<Api>,
  handlers: ThreadHandlers<Api>,
): void {
  const port = parentPort;
  if (port === null) throw new Error(`${service.thread}: to be started as a worker thread`);
  computeInBackground();
  let isFinishing = false;
  let last = Promise.resolve();

  async function answer({ id, call, args }: CallMessage): Promise<void> {
    if (isFinishing) return;
    try {
      const result = await (handlers[call as keyof Api] as Untyped).apply(handlers, [...args]);
      const { result: moved } = service.calls[call as keyof Api] as Transfers<Untyped>;
      port!.postMessage(resultMessage(id, result), moved?.(result) ?? []);
    } catch (thrown) {
      port!.postMessage({ id, error: toCrossing(thrown) } satisfies AnswerMessage);
    }
  }

  port.on('message', (message: CallMessage | typeof FINISH) => {
    if (message === FINISH) {
      isFinishing = true;
      // Not process.exit: native code's own threads may still be writing into our memory.
      last = last.then(() => port.close());
    } else {
      last = last.then(() => answer(message));
    }
  });
}

function resultMessage(id: number, result: unknown): AnswerMessage {
  if (!Array.isArray(result)) return { id, result, errors: [] };
  return {
    id,
    result: result.map((each) => (each instanceof Error ? null : each)),
    errors: result.flatMap((each, place) =>
      each instanceof Error ? [[place, toCrossing(each)] as const] : [],
    ),
  };
}
