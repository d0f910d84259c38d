/** What a run that needs memory more than time asks of TensorFlow and of the C library. */

/**
 * Freed tensors go back to the system at once. By default TensorFlow's allocator for oneDNN keeps them, in chunks of up to
 * twice a tensor's size. Call it before TensorFlow is opened, which reads the settings only then; those that are set stay.
 */
export function returnMemoryAtOnce(): void {
  process.env.TF_ONEDNN_USE_SYSTEM_ALLOCATOR ??= '1';
  // src/tensor/native/returnedMemory.cc
  process.env.CIRKD_RETURN_MEMORY ??= '1';
}
