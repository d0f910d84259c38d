// CirkdStoredValues: numbers of a file as a float32 tensor, read piece by piece into the tensor's own memory: no copy
// of the file or of the values in PyTorch's order exists beside it. ../../storedValues.ts describes the inputs.
#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../kernelCall.h"

namespace cirkd {
namespace {

// The numbers of the types in ../../storedValues.ts.
enum class Stored : int32_t { kFloat32 = 0, kFloat16 = 1, kBfloat16 = 2, kFloat64 = 3 };

int64_t BytesOf(Stored type) {
  return type == Stored::kFloat64 ? 8 : type == Stored::kFloat32 ? 4 : 2;
}

// Bytes that are read at a time, unless kLeastRows rows take more: those fill a cache line of the output.
constexpr int64_t kPieceBytes = 1 << 20, kLeastRows = 16;

float FromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// IEEE 754 binary16, exactly.
float FromHalf(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16, exponent = (half >> 10) & 31u, fraction = half & 1023u;
  if (exponent == 31) return FromBits(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return FromBits(sign | (exponent + 112) << 23 | fraction << 13);
  const float small = static_cast<float>(fraction) * FromBits(0x33800000u);  // 2^-24
  return sign == 0 ? small : -small;
}

template <typename T>
T At(const unsigned char* bytes, int64_t index) {
  T value;
  std::memcpy(&value, bytes + index * sizeof(T), sizeof(T));
  return value;
}

template <Stored kType>
float Value(const unsigned char* bytes, int64_t index) {
  if constexpr (kType == Stored::kFloat32) return At<float>(bytes, index);
  if constexpr (kType == Stored::kFloat16) return FromHalf(At<uint16_t>(bytes, index));
  if constexpr (kType == Stored::kBfloat16) return FromBits(static_cast<uint32_t>(At<uint16_t>(bytes, index)) << 16);
  if constexpr (kType == Stored::kFloat64) return static_cast<float>(At<double>(bytes, index));
}

// Rows [first, first + count) of [rows, channels, taps] as columns of out [taps, channels, rows].
template <Stored kType>
void PlaceRows(const unsigned char* bytes, const int64_t* lengths, int64_t first, int64_t count, float* out) {
  const int64_t rows = lengths[0], channels = lengths[1], taps = lengths[2], row = channels * taps;
  for (int64_t begin = 0; begin < count; begin += kLeastRows) {
    const int64_t end = std::min(count, begin + kLeastRows);
    for (int64_t channel = 0; channel < channels; ++channel) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        float* const to = out + (tap * channels + channel) * rows + first;
        const int64_t from = channel * taps + tap;
        for (int64_t k = begin; k < end; ++k) to[k] = Value<kType>(bytes, k * row + from);
      }
    }
  }
}

void Place(Stored type, const unsigned char* bytes, const int64_t* lengths, int64_t first, int64_t count, float* out) {
  switch (type) {
    case Stored::kFloat32:
      return PlaceRows<Stored::kFloat32>(bytes, lengths, first, count, out);
    case Stored::kFloat16:
      return PlaceRows<Stored::kFloat16>(bytes, lengths, first, count, out);
    case Stored::kBfloat16:
      return PlaceRows<Stored::kBfloat16>(bytes, lengths, first, count, out);
    case Stored::kFloat64:
      return PlaceRows<Stored::kFloat64>(bytes, lengths, first, count, out);
  }
}

#if defined(__unix__) || defined(__APPLE__)
class File {
 public:
  explicit File(const std::string& path) : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  // Empty: all of it was read.
  std::string Read(unsigned char* to, int64_t length, int64_t offset) const {
    if (descriptor_ < 0) return std::strerror(errno);
    while (length > 0) {
      const ssize_t got = pread(descriptor_, to, length, offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return std::strerror(errno);
      if (got == 0) return "the file ends before byte " + std::to_string(offset + length);
      to += got;
      offset += got;
      length -= got;
    }
    return "";
  }

 private:
  const int descriptor_;
};
#endif

// A whole number below 2^60 as two int32 below 2^30.
int64_t Wide(const int32_t* parts) { return (static_cast<int64_t>(parts[0]) << 30) | parts[1]; }

void ComputeStoredValues(Call* call) {
  std::vector<int64_t> shape, path_shape;
  const int32_t* const letters = call->Input<int32_t>(0, &path_shape);
  const int32_t* const place = letters == nullptr ? nullptr : call->Input<int32_t>(1, &shape);
  if (place == nullptr ||
      !call->Require(path_shape.size() == 1 && shape == std::vector<int64_t>{6}, "inputs: not a path and six numbers")) {
    return;
  }
  const Stored type = static_cast<Stored>(place[2]);
  const int64_t lengths[] = {place[3], place[4], place[5]};
  bool is_place = place[0] >= 0 && place[1] >= 0 && place[2] >= 0 && place[2] <= 3;
  for (const int64_t length : lengths) is_place &= length > 0;
  if (!call->Require(is_place, "place: not an offset, a type and three lengths")) return;
  float* const out = call->Output(0, {lengths[2], lengths[1], lengths[0]});
  if (out == nullptr) return;
#if defined(__unix__) || defined(__APPLE__)
  const File file(std::string(letters, letters + path_shape[0]));
  const int64_t row_bytes = lengths[1] * lengths[2] * BytesOf(type);
  const int64_t most = std::min(lengths[0], std::max(kLeastRows, kPieceBytes / row_bytes));
  std::vector<unsigned char> piece(most * row_bytes);
  for (int64_t first = 0; first < lengths[0]; first += most) {
    const int64_t count = std::min(most, lengths[0] - first);
    const std::string fault = file.Read(piece.data(), count * row_bytes, Wide(place) + first * row_bytes);
    if (!fault.empty()) return call->Fail(TF_DATA_LOSS, fault.c_str());
    Place(type, piece.data(), lengths, first, count, out);
  }
#else
  call->Fail(TF_UNIMPLEMENTED, "files are read on Unix only");
#endif
}

const bool registered = [] {
  Register<ComputeStoredValues>("CirkdStoredValues", {"path: int32", "place: int32"}, {"values: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
