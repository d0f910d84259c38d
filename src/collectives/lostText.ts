/** How a lost rank is named in an error. */

/** @param addresses host:port of every rank, in order */
export function lostText(
  { rank, reason }: { readonly rank: number; readonly reason: string },
  addresses: readonly string[],
): string {
  // TensorFlow's text without the call that it failed in.
  const [brief] = reason.split(' Additional GRPC error');
  return `rank ${rank} (${addresses[rank]}): ${brief}`;
}
