/** What a network is asked for and how it says that it can't answer. */

export interface InferenceImage {
  readonly height: number;
  readonly width: number;
  /** uint8 HWC, R G B; a view at any offset. Not changed; may not change during the call. */
  readonly rgb: Uint8Array;
}

/**
 * The network gave a NaN or an infinity. The message names the output and the place and may be
 * shown to the peer.
 */
export class NonFiniteOutputError extends Error {
  override readonly name = 'NonFiniteOutputError';
}

/**
 * The network can't take such an image or answers in another size, so asking again is no use. The
 * message says why and may be shown to the peer.
 */
export class RefusedImageError extends Error {
  override readonly name = 'RefusedImageError';
}
