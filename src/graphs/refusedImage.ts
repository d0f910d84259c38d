/** An image that a graph can't take or answers in another size: asking again is no use. */
export class RefusedImageError extends Error {
  override readonly name = 'RefusedImageError';
}
