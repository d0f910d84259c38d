/** A provider of onnxruntime whose libraries can't be loaded. Exit code 2. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
}
