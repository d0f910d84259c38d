// Original file: proto/cirkd/teacher/v1/teacher.proto

export const Output = {
  OUTPUT_UNSPECIFIED: 'OUTPUT_UNSPECIFIED',
  OUTPUT_LOGITS: 'OUTPUT_LOGITS',
  OUTPUT_EMBEDDING: 'OUTPUT_EMBEDDING',
  OUTPUT_FEATURE_NORM: 'OUTPUT_FEATURE_NORM',
  OUTPUT_EMBEDDING_SCALE: 'OUTPUT_EMBEDDING_SCALE',
  OUTPUT_CLASSIFIER: 'OUTPUT_CLASSIFIER',
} as const;

export type OutputInput =
  | 'OUTPUT_UNSPECIFIED'
  | 0
  | 'OUTPUT_LOGITS'
  | 1
  | 'OUTPUT_EMBEDDING'
  | 2
  | 'OUTPUT_FEATURE_NORM'
  | 3
  | 'OUTPUT_EMBEDDING_SCALE'
  | 4
  | 'OUTPUT_CLASSIFIER'
  | 5

export type Output = typeof Output[keyof typeof Output]
