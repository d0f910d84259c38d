/** Images for a queue without a server, and what becomes of them. */
import type { QueuedRequest } from '../../../src/stream/server/turns.js';

export interface WorkLog {
  readonly left: number[];
  readonly evicted: number[];
  readonly late: number[];
  /** The name of an image that was answered, its negative where it failed. */
  readonly results: number[];
}

export const newWorkLog = (): WorkLog => ({ left: [], evicted: [], late: [], results: [] });

/** An image of `height` x 8 pixels that all have its name as their value. */
export function work(
  stream: object,
  request: number,
  log: WorkLog,
  {
    run = 'run',
    height = 8,
    ...changes
  }: Partial<QueuedRequest> & { run?: string; height?: number } = {},
): QueuedRequest {
  return {
    name: { run, request, attempt: 0, sample: `sample-${request}` },
    stream,
    image: { height, width: 8, rgb: new Uint8Array(height * 8 * 3).fill(request) },
    outputs: [{ output: 'logits', encoding: 'fp32' }],
    timeoutMs: 3_600_000,
    mayStart: () => true,
    onStart: () => {},
    onLeave: () => log.left.push(request),
    onDropped: (reason) => log[reason].push(request),
    isWanted: () => true,
    onResult: (result) => log.results.push(result instanceof Error ? -request : request),
    ...changes,
  };
}
