/** The libraries of an onnxruntime provider can't be loaded. Exit code 2. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
}
