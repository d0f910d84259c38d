#include "choice.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "tiles.h"

namespace cirkd {
namespace {

// CIRKD_WINOGRAD, read at the first call.
enum class Setting { kCounted, kOff, kTwo, kFour };

Setting GivenSetting() {
  static const Setting given = [] {
    const char* const value = std::getenv("CIRKD_WINOGRAD");
    const std::string_view text = value == nullptr ? "" : value;
    if (text == "off") return Setting::kOff;
    if (text == "2") return Setting::kTwo;
    if (text == "4") return Setting::kFour;
    return Setting::kCounted;
  }();
  return given;
}

// Pairs of an output position and a tap along an axis that meet the map.
int64_t PairsOnMap(int64_t length, int64_t out_length, int64_t dilation, int64_t padding) {
  int64_t pairs = 0;
  for (int64_t tap = 0; tap < kTaps; ++tap) {
    const int64_t shift = tap * dilation - padding;
    const int64_t begin = std::max<int64_t>(0, -shift), end = std::min(out_length, length - shift);
    pairs += std::max<int64_t>(0, end - begin);
  }
  return pairs;
}

// Measured costs, in multiplications of the sums of products: of a channel of a tile at a point when it is transformed
// from or to a map, and of a filter's element at a point. A transformed filter is written and read once.
constexpr double kPerTransformed = 18, kPerFilterElement = 12;
// F(4x4, 3x3) rounds five times as coarsely as the sums of products. Values that are sums over more channels than this
// are left to F(2x2, 3x3), so that the largest errors stay below 1e-5 of the largest value.
constexpr int64_t kMostSummed = 1024;
// Less than this part of the direct cost makes up for what isn't counted.
constexpr double kWorthwhile = 0.9;

// The costs are those of so many images, however many there are: an image's outputs must not depend on the others that
// share its batch.
constexpr int64_t kCountedImages = 2;

double DirectCost(const ConvolutionShape& shape) {
  return 1.0 * kCountedImages * shape.inputs * shape.outputs *
         PairsOnMap(shape.height, shape.out_height, shape.dilation, shape.padding_rows) *
         PairsOnMap(shape.width, shape.out_width, shape.dilation, shape.padding_columns);
}

double WinogradCost(const ConvolutionShape& shape, Pass pass, int64_t outputs) {
  const bool by_input = pass == Pass::kInputGradient;
  const TileGrid grid{kCountedImages, by_input ? shape.height : shape.out_height,
                      by_input ? shape.width : shape.out_width, shape.dilation, outputs};
  const double points = (outputs + 2.0) * (outputs + 2.0), tiles = static_cast<double>(grid.Count());
  const double filters = 1.0 * shape.inputs * shape.outputs;
  return points * (tiles * (filters + kPerTransformed * (shape.inputs + shape.outputs)) + kPerFilterElement * filters);
}

}  // namespace

int64_t WinogradOutputs(const ConvolutionShape& shape, Pass pass) {
  if (shape.tap_rows != kTaps || shape.tap_columns != kTaps || shape.stride != 1) return 0;
  switch (GivenSetting()) {
    case Setting::kOff:
      return 0;
    case Setting::kTwo:
      return 2;
    case Setting::kFour:
      return 4;
    case Setting::kCounted:
      break;
  }
  // The weights' gradient sums over tiles.
  const int64_t summed = pass == Pass::kForward ? shape.inputs : pass == Pass::kInputGradient ? shape.outputs : 0;
  int64_t best = 0;
  double least = kWorthwhile * DirectCost(shape);
  for (const int64_t outputs : {2, 4}) {
    if (outputs == 4 && summed > kMostSummed) continue;
    const double cost = WinogradCost(shape, pass, outputs);
    if (cost >= least) continue;
    best = outputs;
    least = cost;
  }
  return best;
}

}  // namespace cirkd
