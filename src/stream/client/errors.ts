/** Interprets a teacher's statuses and errors for the client. */
import { status } from '@grpc/grpc-js';
import { connectionFault } from '../../rpc/connectionFault.js';
import type { ImageError } from '../generated/cirkd/teacher/v1/ImageError.js';
import type { RequeueReason } from './options.js';

/**
 * A teacher refused the image for good, or no teacher accepts such an image. The message holds the
 * teacher's reason.
 */
export class ImageRefusedError extends Error {
  override readonly name = 'ImageRefusedError';
  readonly code: status;

  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

/** "UNAVAILABLE" for 14. */
export function statusName(code: number): string {
  return status[code] ?? `status ${code}`;
}

/** Statuses before the welcome that a retry can't change. */
const REFUSALS = new Set([
  status.FAILED_PRECONDITION,
  status.INVALID_ARGUMENT,
  status.UNIMPLEMENTED,
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
]);

/**
 * Why a stream ended; `early`: before the welcome. `refusal` is set if an early end means that the
 * teacher refuses this student.
 */
export function describeEnd(
  code: status,
  details: string,
  early: boolean,
): { readonly description: string; readonly refusal: string | undefined } {
  const fault = early ? connectionFault(details) : undefined;
  const description = `${statusName(code)}: ${fault?.reason ?? details}`;
  if (!early) return { description, refusal: undefined };
  if (fault?.lasting) return { description, refusal: `is not connected: ${fault.reason}` };
  return {
    description,
    refusal: REFUSALS.has(code) ? `refused the hello: ${description}` : undefined,
  };
}

/** Statuses of an overloaded teacher or one that shuts down: they say nothing about the image. */
const OVERLOAD_STATUSES = new Set([
  status.RESOURCE_EXHAUSTED,
  status.DEADLINE_EXCEEDED,
  status.UNAVAILABLE,
]);

/** Whether the image may have caused a retryable error; non-finite answers are counted apart. */
export function blamesImage(code: status, reason: ImageError['reason']): boolean {
  return !OVERLOAD_STATUSES.has(code) && reason === 'ERROR_REASON_UNSPECIFIED';
}

/** The metric label for an image that is requeued after a retryable error. */
export function requeueReason(error: ImageError): RequeueReason {
  if (error.reason === 'ERROR_REASON_NON_FINITE') return 'nonfinite';
  if (error.reason === 'ERROR_REASON_DRAINING') return 'draining';
  return error.code === status.DEADLINE_EXCEEDED ? 'timeout' : 'error';
}
