// Compares the addon's products with plain loops in double precision, without TensorFlow, so that it also runs where there
// is none, as under an emulator. Prints a line for each comparison; exit code 1 if one fails.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "bfloat16/convolution.h"
#include "bfloat16/rounding.h"
#include "bfloat16/tiles.h"
#include "convolution.h"

namespace {

using cirkd::ConvolutionShape;
using Values = std::vector<float>;

bool failed = false;

void Tell(const char* what, bool holds, double figure) {
  std::printf("%s %s %.3g\n", holds ? "ok" : "FAILED", what, figure);
  failed |= !holds;
}

// Reproducible values in [-1, 1).
Values Random(int64_t count, uint32_t seed) {
  Values values(count);
  uint32_t state = seed * 2654435761u + 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / (1 << 23) - 1.0f;
  }
  return values;
}

float FromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

Values Rounded(const Values& values) {
  Values rounded;
  for (const float value : values) rounded.push_back(FromBits(cirkd::RoundedToBfloat16(value)));
  return rounded;
}

// Calls with(x's index, weights' index, y's index) for each product of a convolution.
template <typename With>
void ForEachProduct(const ConvolutionShape& s, const With& with) {
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t y = 0; y < s.out_height; ++y) {
      for (int64_t x = 0; x < s.out_width; ++x) {
        const int64_t to = ((n * s.out_height + y) * s.out_width + x) * s.outputs;
        for (int64_t tap = 0; tap < s.taps(); ++tap) {
          const int64_t at_y = y * s.stride + tap / s.tap_columns * s.dilation - s.padding_rows;
          const int64_t at_x = x * s.stride + tap % s.tap_columns * s.dilation - s.padding_columns;
          if (at_y < 0 || at_y >= s.height || at_x < 0 || at_x >= s.width) continue;
          const int64_t from = ((n * s.height + at_y) * s.width + at_x) * s.inputs;
          for (int64_t c = 0; c < s.inputs; ++c) {
            for (int64_t k = 0; k < s.outputs; ++k) with(from + c, (tap * s.inputs + c) * s.outputs + k, to + k);
          }
        }
      }
    }
  }
}

// The largest distance, relative to the largest value.
double Distance(const Values& got, const std::vector<double>& wanted) {
  double most = 0, largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double distance = std::fabs(got[i] - wanted[i]);
    if (!(distance <= most)) most = distance;
    largest = std::fmax(largest, std::fabs(wanted[i]));
  }
  return most / largest;
}

ConvolutionShape ShapeOf(int64_t side, int64_t inputs, int64_t outputs, int64_t taps, int64_t stride,
                         int64_t dilation) {
  ConvolutionShape shape{};
  shape.images = 2;
  shape.height = side;
  shape.width = side + 3;
  shape.inputs = inputs;
  shape.outputs = outputs;
  shape.tap_rows = shape.tap_columns = taps;
  shape.stride = stride;
  shape.dilation = dilation;
  shape.padding_rows = shape.padding_columns = dilation * (taps - 1) / 2;
  shape.out_height = (shape.height - 1) / stride + 1;
  shape.out_width = (shape.width - 1) / stride + 1;
  return shape;
}

void CompareConvolution(const char* name, const ConvolutionShape& shape) {
  constexpr double kNear = 1e-5;
  char what[128];
  const auto tell = [&](const char* value, double distance) {
    std::snprintf(what, sizeof(what), "%s, %s", name, value);
    Tell(what, distance < kNear, distance);
  };
  const int64_t maps = shape.images * shape.height * shape.width * shape.inputs;
  const Values x = Random(maps, 1), w = Random(shape.taps() * shape.inputs * shape.outputs, 2);
  const Values dy = Random(shape.out_positions() * shape.outputs, 3);
  Values y(dy.size()), dx(x.size()), dw(w.size());
  std::vector<double> y_wanted(y.size()), dx_wanted(x.size()), dw_wanted(w.size());
  ForEachProduct(shape, [&](int64_t i, int64_t j, int64_t k) {
    y_wanted[k] += 1.0 * x[i] * w[j];
    dx_wanted[i] += 1.0 * dy[k] * w[j];
    dw_wanted[j] += 1.0 * dy[k] * x[i];
  });
  cirkd::ConvolutionForward(shape, x.data(), w.data(), nullptr, y.data());
  tell("y", Distance(y, y_wanted));
  cirkd::ConvolutionFilterGradient(shape, x.data(), dy.data(), dw.data());
  tell("dw", Distance(dw, dw_wanted));
  if (shape.stride == 1) {
    cirkd::ConvolutionInputGradient(shape, dy.data(), w.data(), dx.data());
    tell("dx", Distance(dx, dx_wanted));
  }
  if (!cirkd::IsBfloat16Shape(shape)) return;
  const Values x16 = Rounded(x), w16 = Rounded(w);
  std::fill(y_wanted.begin(), y_wanted.end(), 0.0);
  ForEachProduct(shape, [&](int64_t i, int64_t j, int64_t k) { y_wanted[k] += 1.0 * x16[i] * w16[j]; });
  cirkd::Bfloat16Forward(shape, x.data(), w.data(), nullptr, y.data());
  tell("y in bfloat16", Distance(y, y_wanted));
}

// The rounding at ties, next to them, and of values that aren't numbers.
void CompareRounding() {
  const struct { uint32_t given, wanted; } cases[] = {
      {0x3f800000, 0x3f800000}, {0x3f808000, 0x3f800000}, {0x3f818000, 0x3f820000}, {0x3f808001, 0x3f810000},
      {0x3f807fff, 0x3f800000}, {0xbf818000, 0xbf820000}, {0x7f7fffff, 0x7f800000}, {0x7f800000, 0x7f800000},
      {0xff800000, 0xff800000}, {0x7f800001, 0x7fc00000}, {0x00000000, 0x00000000}, {0x80000001, 0x80000000},
      {0x007fffff, 0x00000000}, {0x00800000, 0x00800000},
  };
  int wrong = 0;
  for (const auto& [given, wanted] : cases) {
    wrong += cirkd::RoundedToBfloat16(FromBits(given)) != wanted;
  }
  Tell("rounding to bfloat16", wrong == 0, wrong);
}

// The bits of a tile beside sums in float32, one rounding per product.
template <typename L>
void CompareTile(const char* name, cirkd::PairTile tile) {
  constexpr int64_t kWords = 100;
  const Values low = Random(L::kRows * cirkd::kPairs, 4), high = Random(L::kRows * cirkd::kPairs, 5);
  const Values panel_low = Random(kWords * L::kColumns, 6), panel_high = Random(kWords * L::kColumns, 7);
  std::vector<uint32_t> left, panel;
  for (size_t i = 0; i < low.size(); ++i) left.push_back(cirkd::PairOf(low[i], high[i] * 1e3f));
  for (size_t i = 0; i < panel_low.size(); ++i) panel.push_back(cirkd::PairOf(panel_low[i], panel_high[i]));
  Values out(L::kRows * L::kColumns, 0.5f), wanted;
  tile(left.data(), panel.data(), kWords, out.data(), L::kColumns, true);
  for (int i = 0; i < L::kRows; ++i) {
    for (int j = 0; j < L::kColumns; ++j) {
      volatile float sum = 0;
      for (int64_t k = 0; k < kWords; ++k) {
        const uint32_t a = left[i * cirkd::kPairs + k], b = panel[k * L::kColumns + j];
        sum = sum + FromBits(a & 0xffff0000u) * FromBits(b & 0xffff0000u);
        sum = sum + FromBits(a << 16) * FromBits(b << 16);
      }
      wanted.push_back(0.5f + sum);
    }
  }
  int wrong = 0;
  for (size_t i = 0; i < out.size(); ++i) wrong += out[i] != wanted[i];
  Tell(name, wrong == 0, wrong);
}

void CompareTiles() {
  using cirkd::VectorLevel;
  CompareTile<cirkd::Narrow>("bfloat16 tile, narrow", cirkd::PortablePairTile(VectorLevel::kNarrow));
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    CompareTile<cirkd::Medium>("bfloat16 tile, medium", cirkd::PortablePairTile(VectorLevel::kMedium));
  }
  if (__builtin_cpu_supports("avx512f")) {
    CompareTile<cirkd::Wide>("bfloat16 tile, wide", cirkd::PortablePairTile(VectorLevel::kWide));
  }
#endif
  if (cirkd::ProcessorPairTile() != nullptr) {
    CompareTile<cirkd::Wide>("bfloat16 tile, the processor's", cirkd::ProcessorPairTile());
  }
}

}  // namespace

int main() {
  CompareRounding();
  CompareTiles();
  CompareConvolution("1x1", ShapeOf(9, 35, 21, 1, 1, 1));
  CompareConvolution("1x1 over two passes", ShapeOf(5, 300, 40, 1, 1, 1));
  CompareConvolution("3x3 with stride 2", ShapeOf(9, 20, 17, 3, 2, 1));
  CompareConvolution("3x3 dilated off the map", ShapeOf(7, 24, 9, 3, 1, 6));
  CompareConvolution("3x3", ShapeOf(14, 32, 32, 3, 1, 1));
  return failed ? 1 : 0;
}
