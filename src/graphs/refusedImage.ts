/** The graph can't take images of this size, or answers in an unexpected size. Retrying won't help. */
export class RefusedImageError extends Error {
  override readonly name = 'RefusedImageError';
}
