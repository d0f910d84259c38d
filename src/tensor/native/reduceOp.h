// CollectiveReduceV2 in TensorFlow's eager runtime, for threads of the addon's own.
#ifndef CIRKD_NATIVE_REDUCE_OP_H_
#define CIRKD_NATIVE_REDUCE_OP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "collectives.h"
#include "kernelApi.h"

extern "C" {
TFE_Op* TFE_NewOp(TFE_Context* context, const char* name, TF_Status* status);
void TFE_DeleteOp(TFE_Op* op);
void TFE_OpSetDevice(TFE_Op* op, const char* device, TF_Status* status);
void TFE_OpAddInput(TFE_Op* op, TFE_TensorHandle* input, TF_Status* status);
void TFE_OpSetAttrType(TFE_Op* op, const char* name, TF_DataType value);
void TFE_OpSetAttrInt(TFE_Op* op, const char* name, int64_t value);
void TFE_OpSetAttrFloat(TFE_Op* op, const char* name, float value);
void TFE_OpSetAttrString(TFE_Op* op, const char* name, const void* value, size_t length);
void TFE_Execute(TFE_Op* op, TFE_TensorHandle** results, int* num_results, TF_Status* status);
TFE_TensorHandle* TFE_NewTensorHandle(const TF_Tensor* tensor, TF_Status* status);
void TFE_DeleteTensorHandle(TFE_TensorHandle* handle);
TF_Tensor* TFE_TensorHandleResolve(TFE_TensorHandle* handle, TF_Status* status);
}

namespace cirkd {

struct TensorDeleter {
  void operator()(TF_Tensor* tensor) const { TF_DeleteTensor(tensor); }
};
using OwnedTensor = std::unique_ptr<TF_Tensor, TensorDeleter>;

struct ReduceGroup {
  int32_t size;
  int32_t group_key;
  int32_t instance_key;
};

// One reduction of float32. It blocks the calling thread until all processes of the group have run theirs.
class ReduceOp {
 public:
  ReduceOp() : status_(TF_NewStatus()) {}
  ~ReduceOp() {
    for (TFE_TensorHandle* handle : handles_) TFE_DeleteTensorHandle(handle);
    if (op_ != nullptr) TFE_DeleteOp(op_);
    TF_DeleteStatus(status_);
  }

  // Null after an error. `device` may be empty: TensorFlow's choice.
  OwnedTensor Run(OwnedTensor given, const ReduceGroup& group, bool is_mean,
                  const std::string& device = "") {
    return OwnedTensor(Result(std::move(given), group, is_mean, device));
  }

  TF_Code code() const { return TF_GetCode(status_); }
  const char* message() const { return TF_Message(status_); }

 private:
  bool Ok() const { return code() == TF_OK; }

  TF_Tensor* Result(OwnedTensor given, const ReduceGroup& group, bool is_mean,
                    const std::string& device) {
    op_ = TFE_NewOp(GroupContext(), "CollectiveReduceV2", status_);
    if (!Ok()) return nullptr;
    if (!device.empty()) TFE_OpSetDevice(op_, device.c_str(), status_);
    if (!Ok() || !Add(std::move(given))) return nullptr;
    for (const int32_t number : {group.size, group.group_key, group.instance_key}) {
      OwnedTensor scalar(TF_AllocateTensor(TF_INT32, nullptr, 0, sizeof number));
      *static_cast<int32_t*>(TF_TensorData(scalar.get())) = number;
      if (!Add(std::move(scalar))) return nullptr;
    }
    TFE_OpSetAttrType(op_, "T", TF_FLOAT);
    SetText("merge_op", "Add");
    SetText("final_op", is_mean ? "Div" : "Id");
    SetText("communication_hint", "auto");
    // As in ../ops/collective.ts: collectives.cc has the limit.
    TFE_OpSetAttrFloat(op_, "timeout_seconds", 0);
    TFE_OpSetAttrInt(op_, "Nordering_token", 0);
    TFE_TensorHandle* result = nullptr;
    int count = 1;
    TFE_Execute(op_, &result, &count, status_);
    if (!Ok()) return nullptr;
    handles_.push_back(result);
    return TFE_TensorHandleResolve(result, status_);
  }

  bool Add(OwnedTensor tensor) {
    TFE_TensorHandle* const handle = TFE_NewTensorHandle(tensor.get(), status_);
    if (!Ok()) return false;
    handles_.push_back(handle);
    TFE_OpAddInput(op_, handle, status_);
    return Ok();
  }

  void SetText(const char* name, const std::string& value) {
    TFE_OpSetAttrString(op_, name, value.data(), value.size());
  }

  TF_Status* const status_;
  TFE_Op* op_ = nullptr;
  std::vector<TFE_TensorHandle*> handles_;
};

}  // namespace cirkd

#endif  // CIRKD_NATIVE_REDUCE_OP_H_
