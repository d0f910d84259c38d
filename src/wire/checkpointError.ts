/** A model file or checkpoint can't be used; the message names the key. Exit code 5. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}
