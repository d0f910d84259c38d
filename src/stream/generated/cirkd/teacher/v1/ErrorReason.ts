// Original file: proto/cirkd/teacher/v1/teacher.proto

export const ErrorReason = {
  ERROR_REASON_UNSPECIFIED: 'ERROR_REASON_UNSPECIFIED',
  ERROR_REASON_NON_FINITE: 'ERROR_REASON_NON_FINITE',
  ERROR_REASON_DRAINING: 'ERROR_REASON_DRAINING',
} as const;

export type ErrorReasonInput =
  | 'ERROR_REASON_UNSPECIFIED'
  | 0
  | 'ERROR_REASON_NON_FINITE'
  | 1
  | 'ERROR_REASON_DRAINING'
  | 2

export type ErrorReason = typeof ErrorReason[keyof typeof ErrorReason]
