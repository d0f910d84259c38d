// CirkdPixelCrossEntropy: cross entropy of bilinearly upsampled logits with labels at full resolution,
// and its gradient with respect to the logits before upsampling. Works pixel by pixel, so that nothing
// at full resolution is in memory. ../kernels/pixelCrossEntropy.ts has the formula. Corners are
// aligned; CirkdPixelCrossEntropyHalfPixel uses half-pixel centres instead. Each class has a factor on the loss
// and the gradient of its pixels; a factor of 1 changes no bit.
//
// Part of the addon, registered through TensorFlow's C API when it is loaded; CPU, float32.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernelCall.h"
#include "threadPool.h"
#include "vectorMath.h"

namespace cirkd {
namespace {

// Classes are padded to a multiple of this; a padding class has a logit far below any other.
constexpr int64_t kLanes = 16;
constexpr float kNever = -1e30f;

struct Shape {
  int64_t images, height, width, classes;  // of the logits
  int64_t full_height, full_width;         // of the labels
  int64_t padded;                          // classes, padded
  bool align_corners;
};

// A pixel's place between two positions of the logits, along one axis.
struct Between {
  int64_t first;
  int64_t second;
  float weight;  // of the second position
};

// In positions of the logits, from 0. Beyond the centres of the first and the last position, the border
// is repeated.
float Coordinate(int64_t index, int64_t size, int64_t full_size, bool align_corners) {
  if (align_corners) {
    return full_size > 1 ? static_cast<float>(size - 1) / (full_size - 1) * index : 0.0f;
  }
  const float step = static_cast<float>(size) / full_size;
  return std::clamp((index + 0.5f) * step - 0.5f, 0.0f, static_cast<float>(size - 1));
}

Between Position(int64_t index, int64_t size, int64_t full_size, bool align_corners) {
  const float at = Coordinate(index, size, full_size, align_corners);
  const int64_t first = std::min(static_cast<int64_t>(at), size - 1);
  return {first, std::min(first + 1, size - 1), at - first};
}

// One pixel; `e` has room for one number per class. Returns the loss.
CIRKD_INLINE float Pixel(const float* left, const float* right, float weight, int64_t label,
                             float scale, int64_t padded, float* e, float* left_gradient,
                             float* right_gradient) {
  float largest = kNever;
#pragma omp simd reduction(max : largest)
  for (int64_t k = 0; k < padded; ++k) {
    e[k] = left[k] + (right[k] - left[k]) * weight;
    largest = e[k] > largest ? e[k] : largest;
  }
  const float own = e[label];
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t k = 0; k < padded; ++k) {
    e[k] = Exp(e[k] - largest);
    sum += e[k];
  }
  const float factor = scale / sum;
  const float other = 1.0f - weight;
#pragma omp simd
  for (int64_t k = 0; k < padded; ++k) {
    const float g = e[k] * factor;
    left_gradient[k] += g * other;
    right_gradient[k] += g * weight;
  }
  left_gradient[label] -= scale * other;
  right_gradient[label] -= scale * weight;
  return std::log(sum) + (largest - own);  // This order keeps a small loss precise.
}

// One row of pixels between the blended logits of its two rows. Returns the sum of the losses.
CIRKD_VECTORISED double Row(const float* logits, const Between* columns, const uint8_t* labels,
                            float scale, const float* weights, const Shape& shape, float* e,
                            float* gradient) {
  double loss = 0.0;
  for (int64_t x = 0; x < shape.full_width; ++x) {
    if (labels[x] >= shape.classes) continue;
    const int64_t left = columns[x].first * shape.padded, right = columns[x].second * shape.padded;
    const float own = weights[labels[x]];
    loss += own * Pixel(logits + left, logits + right, columns[x].weight, labels[x], scale * own,
                        shape.padded, e, gradient + left, gradient + right);
  }
  return loss;
}

CIRKD_VECTORISED void Blend(const float* first, const float* second, float weight, int64_t length,
                            float* out) {
#pragma omp simd
  for (int64_t i = 0; i < length; ++i) out[i] = first[i] + (second[i] - first[i]) * weight;
}

CIRKD_VECTORISED void AddTimes(const float* x, float factor, int64_t length, float* sum) {
#pragma omp simd
  for (int64_t i = 0; i < length; ++i) sum[i] += x[i] * factor;
}

// Full-resolution rows [begin, end) of all images, one thread's share.
class Share {
 public:
  Share(const Shape& shape, int64_t begin, int64_t end)
      : shape_(shape), begin_(begin), end_(end), row_length_(shape.width * shape.padded) {
    first_row_ = RowsOf(begin).first;
    const int64_t rows = RowsOf(end - 1).second - first_row_ + 1;
    gradient_.assign(rows * row_length_, 0.0f);
    for (std::vector<float>* const room : {&first_, &second_, &row_, &row_gradient_}) {
      room->resize(row_length_);
    }
    e_.resize(shape.padded);
    for (int64_t x = 0; x < shape.full_width; ++x) {
      columns_.push_back(Position(x, shape.width, shape.full_width, shape.align_corners));
    }
  }

  // Allocates nothing: an exception must not leave a thread of the pool.
  void Compute(const float* logits, const uint8_t* labels, float scale,
               const float* weights) noexcept {
    int64_t loaded = -1;
    for (int64_t at = begin_; at < end_; ++at) {
      const Between rows = RowsOf(at);
      if (rows.first != loaded) {
        Pad(logits, rows.first, first_.data());
        Pad(logits, rows.second, second_.data());
        loaded = rows.first;
      }
      Blend(first_.data(), second_.data(), rows.weight, row_length_, row_.data());
      std::fill(row_gradient_.begin(), row_gradient_.end(), 0.0f);
      loss_ += Row(row_.data(), columns_.data(), labels + at * shape_.full_width, scale,
                   weights, shape_, e_.data(), row_gradient_.data());
      AddTimes(row_gradient_.data(), 1.0f - rows.weight, row_length_, GradientRow(rows.first));
      AddTimes(row_gradient_.data(), rows.weight, row_length_, GradientRow(rows.second));
    }
  }

  // Adds the share's gradient, without the padding, to the total.
  void AddTo(float* gradient) const {
    const int64_t rows = static_cast<int64_t>(gradient_.size()) / row_length_;
    float* const out = gradient + first_row_ * shape_.width * shape_.classes;
    for (int64_t i = 0; i < rows * shape_.width; ++i) {
      for (int64_t k = 0; k < shape_.classes; ++k) {
        out[i * shape_.classes + k] += gradient_[i * shape_.padded + k];
      }
    }
  }

  double loss() const { return loss_; }

 private:
  // The two rows of the logits, counted over all images, between which a full row lies.
  Between RowsOf(int64_t at) const {
    const int64_t image = at / shape_.full_height;
    Between rows =
        Position(at % shape_.full_height, shape_.height, shape_.full_height, shape_.align_corners);
    rows.first += image * shape_.height;
    rows.second += image * shape_.height;
    return rows;
  }

  void Pad(const float* logits, int64_t row, float* out) const {
    const float* const from = logits + row * shape_.width * shape_.classes;
    for (int64_t x = 0; x < shape_.width; ++x) {
      float* const to = out + x * shape_.padded;
      std::copy_n(from + x * shape_.classes, shape_.classes, to);
      std::fill(to + shape_.classes, to + shape_.padded, kNever);
    }
  }

  float* GradientRow(int64_t row) { return gradient_.data() + (row - first_row_) * row_length_; }

  const Shape& shape_;
  const int64_t begin_, end_, row_length_;
  int64_t first_row_;
  std::vector<float> gradient_;
  std::vector<float> first_, second_, row_, row_gradient_, e_;
  std::vector<Between> columns_;
  double loss_ = 0.0;
};

template <bool kAlignCorners>
void Compute(Call* call) {
  std::vector<int64_t> sides, full, one, classes;
  const float* const logits = call->Input(0, &sides);
  if (logits == nullptr || !call->Require(sides.size() == 4, "logits: not of rank 4")) return;
  const uint8_t* const labels = call->Input<uint8_t>(1, &full);
  if (labels == nullptr || !call->Require(full.size() == 3 && full[0] == sides[0],
                                         "labels: not one map an image of the logits")) {
    return;
  }
  const float* const scale = call->Input(2, &one);
  if (scale == nullptr || !call->Require(one.empty(), "scale: not a scalar")) return;
  const float* const weights = call->Input(3, &classes);
  if (weights == nullptr || !call->Require(classes.size() == 1 && classes[0] == sides[3],
                                          "weights: not one a class of the logits")) {
    return;
  }
  float* const gradient = call->Output(0, sides);
  float* const loss = call->Output(1, {1});
  if (gradient == nullptr || loss == nullptr) return;
  const int64_t padded = (sides[3] + kLanes - 1) / kLanes * kLanes;
  const Shape shape = {sides[0], sides[1], sides[2], sides[3],
                       full[1],  full[2],  padded,   kAlignCorners};
  std::fill_n(gradient, sides[0] * sides[1] * sides[2] * sides[3], 0.0f);
  *loss = 0.0f;
  const int64_t rows = full[0] * full[1];
  if (rows * full[2] * sides[1] * sides[2] * sides[3] == 0) return;
  const int parts = PartsFor(rows, rows * full[2] * padded);
  std::vector<Share> shares;
  for (int part = 0; part < parts; ++part) {
    shares.emplace_back(shape, rows * part / parts, rows * (part + 1) / parts);
  }
  Pool::Get().Run(parts, [&](int part) { shares[part].Compute(logits, labels, *scale, weights); });
  double total = 0.0;
  for (const Share& share : shares) {
    share.AddTo(gradient);
    total += share.loss();
  }
  *loss = static_cast<float>(total);
}

const bool registered = [] {
  const std::vector<const char*> inputs = {"logits: float", "labels: uint8", "scale: float",
                                           "weights: float"};
  const std::vector<const char*> outputs = {"gradient: float", "loss: float"};
  Register<Compute<true>>("CirkdPixelCrossEntropy", inputs, outputs);
  Register<Compute<false>>("CirkdPixelCrossEntropyHalfPixel", inputs, outputs);
  return true;
}();

}  // namespace
}  // namespace cirkd
