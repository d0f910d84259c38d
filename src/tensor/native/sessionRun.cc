// tfjs-node's binding leaks the input tensors if a SavedModel's run fails: it returns before it deletes
// them, so that images which a graph rejects would fill the memory. The addon is linked such that the
// binding's calls of TF_SessionRun come here (services/setup/addon.mjs, ld's --wrap).
#include "tensorflow/c/c_api.h"

extern "C" {

void __real_TF_SessionRun(TF_Session* session, const TF_Buffer* run_options,
                          const TF_Output* inputs, TF_Tensor* const* input_values, int input_count,
                          const TF_Output* outputs, TF_Tensor** output_values, int output_count,
                          const TF_Operation* const* targets, int target_count,
                          TF_Buffer* run_metadata, TF_Status* status);

// Like TF_SessionRun, but deletes the inputs if the run fails.
void __wrap_TF_SessionRun(TF_Session* session, const TF_Buffer* run_options,
                          const TF_Output* inputs, TF_Tensor* const* input_values, int input_count,
                          const TF_Output* outputs, TF_Tensor** output_values, int output_count,
                          const TF_Operation* const* targets, int target_count,
                          TF_Buffer* run_metadata, TF_Status* status) {
  __real_TF_SessionRun(session, run_options, inputs, input_values, input_count, outputs,
                       output_values, output_count, targets, target_count, run_metadata, status);
  if (TF_GetCode(status) == TF_OK) return;
  for (int i = 0; i < input_count; i++) TF_DeleteTensor(input_values[i]);
}

}  // extern "C"
