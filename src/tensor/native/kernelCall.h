// Access to a kernel's inputs and outputs, and its registration.
#ifndef CIRKD_NATIVE_KERNEL_CALL_H_
#define CIRKD_NATIVE_KERNEL_CALL_H_

#include <cstdint>
#include <cstdio>
#include <exception>
#include <type_traits>
#include <vector>

#include "kernelApi.h"

namespace cirkd {

// The inputs and outputs of one call. The first error is reported to TensorFlow.
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {}
  ~Call() {
    for (TF_Tensor* tensor : tensors_) TF_DeleteTensor(tensor);
    TF_DeleteStatus(status_);
  }

  int Inputs() const { return TF_NumInputs(context_); }

  // The input's elements and its shape; null on an error.
  template <typename T = float>
  const T* Input(int index, std::vector<int64_t>* shape) {
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context_, index, &tensor, status_);
    if (!Ok()) return nullptr;
    tensors_.push_back(tensor);
    shape->clear();
    for (int i = 0; i < TF_NumDims(tensor); ++i) shape->push_back(TF_Dim(tensor, i));
    return static_cast<const T*>(TF_TensorData(tensor));
  }

  int inputs() const { return TF_NumInputs(context_); }

  // An input's memory for a kernel that changes it: the caller of the op sees to it that no other tensor shares it.
  float* InPlace(int index, std::vector<int64_t>* shape) {
    return const_cast<float*>(Input(index, shape));
  }

  // Uninitialised memory for an output of float32, int32 or uint8; null on an error.
  template <typename T = float>
  T* Output(int index, const std::vector<int64_t>& shape) {
    constexpr TF_DataType kType = TypeNumber<T>();
    int64_t length = 1;
    for (const int64_t side : shape) length *= side;
    TF_Tensor* const tensor =
        TF_AllocateOutput(context_, index, kType, shape.data(), static_cast<int>(shape.size()),
                          length * sizeof(T), status_);
    if (!Ok()) return nullptr;
    tensors_.push_back(tensor);
    return static_cast<T*>(TF_TensorData(tensor));
  }

  // The input itself, for the caller to delete; its memory may outlive the call. Null on an error.
  TF_Tensor* TakeInput(int index) {
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context_, index, &tensor, status_);
    return Ok() ? tensor : nullptr;
  }

  // Makes a tensor the output, without a copy; it still has to be deleted.
  void SetOutput(int index, const TF_Tensor* tensor) {
    TF_SetOutput(context_, index, tensor, status_);
    Ok();
  }

  // Fails the call with the message `what` unless `holds`.
  bool Require(bool holds, const char* what) {
    if (!holds) TF_SetStatus(status_, TF_INVALID_ARGUMENT, what);
    return Ok();
  }

  void Fail(TF_Code code, const char* what) {
    TF_SetStatus(status_, code, what);
    Ok();
  }

  // An input with the wanted shape. With `optional` it may be empty; then `data` becomes null.
  bool InputOf(int index, const std::vector<int64_t>& wanted, const char* fault, const float** data,
               bool optional = false) {
    std::vector<int64_t> shape;
    *data = Input(index, &shape);
    if (!Ok()) return false;
    if (optional && shape == std::vector<int64_t>{0}) {
      *data = nullptr;
      return true;
    }
    return Require(shape == wanted, fault);
  }

  // `count` vectors from input `first` on, each with one number per channel.
  bool Vectors(int first, int count, int64_t channels, const float** vectors) {
    for (int i = 0; i < count; ++i) {
      if (!InputOf(first + i, {channels}, "a vector is not of the map's channels", &vectors[i])) {
        return false;
      }
    }
    return true;
  }

 private:
  template <typename T>
  static constexpr TF_DataType TypeNumber() {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, int32_t> || std::is_same_v<T, uint8_t>,
                  "a type without a number");
    if (std::is_same_v<T, float>) return TF_FLOAT;
    return std::is_same_v<T, int32_t> ? TF_INT32 : TF_UINT8;
  }

  bool Ok() {
    if (TF_GetCode(status_) == TF_OK) return true;
    TF_OpKernelContext_Failure(context_, status_);
    return false;
  }

  TF_OpKernelContext* const context_;
  TF_Status* const status_;
  std::vector<TF_Tensor*> tensors_;
};

// Reports exceptions as errors, because they must not be thrown through TensorFlow.
template <void (*kCompute)(Call*)>
void Guarded(void*, TF_OpKernelContext* context) {
  Call call(context);
  try {
    kCompute(&call);
  } catch (const std::exception& fault) {
    call.Fail(TF_RESOURCE_EXHAUSTED, fault.what());
  }
}

// An error here is an error of the build: the op is then missing, and running it fails.
template <void (*kCompute)(Call*)>
void Register(const char* op, const std::vector<const char*>& inputs,
              const std::vector<const char*>& outputs,
              const std::vector<const char*>& attributes = {}) {
  TF_Status* const status = TF_NewStatus();
  TF_OpDefinitionBuilder* const definition = TF_NewOpDefinitionBuilder(op);
  for (const char* attribute : attributes) TF_OpDefinitionBuilderAddAttr(definition, attribute);
  for (const char* input : inputs) TF_OpDefinitionBuilderAddInput(definition, input);
  for (const char* output : outputs) TF_OpDefinitionBuilderAddOutput(definition, output);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(
      definition, [](TF_ShapeInferenceContext* context, TF_Status* unknown) {
        TF_ShapeInferenceContextSetUnknownShape(context, unknown);
      });
  TF_RegisterOpDefinition(definition, status);
  if (TF_GetCode(status) == TF_OK) {
    TF_KernelBuilder* const kernel = TF_NewKernelBuilder(op, "CPU", nullptr, Guarded<kCompute>, nullptr);
    TF_RegisterKernelBuilder(op, kernel, status);
  }
  if (TF_GetCode(status) != TF_OK) std::fprintf(stderr, "%s: %s\n", op, TF_Message(status));
  TF_DeleteStatus(status);
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_KERNEL_CALL_H_
