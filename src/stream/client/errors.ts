/** What statuses and errors of a teacher mean for the client. */
import { status } from '@grpc/grpc-js';
import { connectionFault } from '../../rpc/connectionFault.js';
import type { ImageError } from '../generated/cirkd/teacher/v1/ImageError.js';
import type { RequeueReason } from './options.js';

/**
 * A teacher said that asking again is no use, or no teacher takes such an image. The message
 * holds what the teacher said.
 */
export class ImageRefusedError extends Error {
  override readonly name = 'ImageRefusedError';
  readonly code: status;

  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

/** "UNAVAILABLE" of 14. */
export function statusName(code: number): string {
  return status[code] ?? `status ${code}`;
}

/** Statuses before the welcome that another try doesn't change. */
const REFUSALS = new Set([
  status.FAILED_PRECONDITION,
  status.INVALID_ARGUMENT,
  status.UNIMPLEMENTED,
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
]);

/**
 * Why a stream ended, `early`: before the welcome. `refusal` where an early end says: not with this
 * student.
 */
export function readEnd(
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

/** Of a teacher with too much to do, or one that shuts down: they say nothing about the image. */
const INNOCENT = new Set([status.RESOURCE_EXHAUSTED, status.DEADLINE_EXCEEDED, status.UNAVAILABLE]);

/** Whether a retryable error may be the image's own doing; non-finite answers are counted apart. */
export function blamesImage(code: status, reason: ImageError['reason']): boolean {
  return !INNOCENT.has(code) && reason === 'ERROR_REASON_UNSPECIFIED';
}

/** The label under which an image with a retryable error is asked for again. */
export function requeueReason(error: ImageError): RequeueReason {
  if (error.reason === 'ERROR_REASON_NON_FINITE') return 'nonfinite';
  if (error.reason === 'ERROR_REASON_DRAINING') return 'draining';
  return error.code === status.DEADLINE_EXCEEDED ? 'timeout' : 'error';
}
