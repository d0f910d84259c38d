// CirkdAttention and CirkdAttentionGrad: multi-head dot-product attention. ../../kernels/multiHeadAttention.ts has the formula.
//
// Part of the addon, registered through TensorFlow's C API when it is loaded; CPU, float32.
#include "attention.h"

#include "kernelCall.h"
#include "threadPool.h"

namespace cirkd {
namespace {

CIRKD_AT_BEST_LEVEL(AttendQueriesAtBest, AttendQueries)
CIRKD_AT_BEST_LEVEL(AttendGradientsAtBest, AttendGradients)

// Inputs from `first` on: query [N, P, C], key [N, M, C], value [N, M, C], numbers (heads, factor).
bool Read(Call* call, int first, AttentionShape* shape, HeadMaps* maps) {
  std::vector<int64_t> query, key;
  const float* numbers;
  maps->query = call->Input(first, &query);
  if (maps->query == nullptr || !call->Require(query.size() == 3, "query: not of rank 3")) return false;
  maps->key = call->Input(first + 1, &key);
  if (maps->key == nullptr ||
      !call->Require(key.size() == 3 && key[0] == query[0] && key[2] == query[2],
                     "key: not of the query's images and channels") ||
      !call->InputOf(first + 2, key, "value: another shape than key", &maps->value) ||
      !call->InputOf(first + 3, {2}, "numbers: not two", &numbers)) {
    return false;
  }
  const int64_t heads = static_cast<int64_t>(numbers[0]);
  if (!call->Require(heads > 0 && query[2] > 0 && query[2] % heads == 0,
                     "channels: not a multiple of the heads") ||
      !call->Require(key[1] > 0, "key: none")) {
    return false;
  }
  *shape = {query[0], query[1], key[1], heads, query[2] / heads, numbers[1]};
  maps->gradient = nullptr;
  return true;
}

// Into how many ranges each head's queries are divided, so that every thread has work.
int64_t RangesOf(const AttentionShape& shape) {
  if (shape.maps() == 0) return 1;
  const int64_t work = shape.maps() * shape.queries * shape.keys * shape.depth;
  const int64_t wanted = PartsFor(shape.maps() * shape.queries, work);
  const int64_t ranges = (2 * wanted + shape.maps() - 1) / shape.maps();
  return std::clamp<int64_t>(wanted == 1 ? 1 : ranges, 1, std::max<int64_t>(1, shape.queries));
}

// Calls work(map, begin, end, piece) for each range of each head's queries.
template <typename Work>
void OverRanges(const AttentionShape& shape, int64_t ranges, const Work& work) {
  Pool::Get().Run(static_cast<int>(shape.maps() * ranges), [&](int piece) {
    const int64_t map = piece / ranges, range = piece % ranges;
    work(map, shape.queries * range / ranges, shape.queries * (range + 1) / ranges, piece);
  });
}

void ComputeForward(Call* call) {
  AttentionShape shape;
  HeadMaps maps;
  if (!Read(call, 0, &shape, &maps)) return;
  float* const out = call->Output(0, {shape.images, shape.queries, shape.channels()});
  if (out == nullptr || shape.maps() == 0) return;
  OverRanges(shape, RangesOf(shape), [&](int64_t map, int64_t begin, int64_t end, int) {
    const HeadMaps own = MapsOf(shape, maps, map);
    AttendQueriesAtBest(shape, own, begin, end, out + (own.query - maps.query));
  });
}

// Input 0: the output's gradient. Outputs: the gradients of query, key and value.
void ComputeGradient(Call* call) {
  AttentionShape shape;
  HeadMaps maps;
  const float* dy;
  if (!Read(call, 1, &shape, &maps) ||
      !call->InputOf(0, {shape.images, shape.queries, shape.channels()},
                     "dy: another shape than query", &dy)) {
    return;
  }
  maps.gradient = dy;
  float* const dquery = call->Output(0, {shape.images, shape.queries, shape.channels()});
  const std::vector<int64_t> key_shape = {shape.images, shape.keys, shape.channels()};
  float* const dkey = dquery == nullptr ? nullptr : call->Output(1, key_shape);
  float* const dvalue = dkey == nullptr ? nullptr : call->Output(2, key_shape);
  if (dvalue == nullptr || shape.maps() == 0) return;
  const int64_t ranges = RangesOf(shape);
  std::vector<KeySums> sums(shape.maps() * ranges);
  OverRanges(shape, ranges, [&](int64_t map, int64_t begin, int64_t end, int piece) {
    const HeadMaps own = MapsOf(shape, maps, map);
    AttendGradientsAtBest(shape, own, begin, end, dquery + (own.query - maps.query), &sums[piece]);
  });
  const int64_t width = RoundUp(shape.depth, BestTile().columns);
  for (int64_t map = 0; map < shape.maps(); ++map) {
    const int64_t to = MapsOf(shape, maps, map).key - maps.key;
    for (int64_t m = 0; m < shape.keys; ++m) {
      for (int64_t d = 0; d < shape.depth; ++d) {
        float key = 0.0f, value = 0.0f;
        for (int64_t range = 0; range < ranges; ++range) {
          const KeySums& own = sums[map * ranges + range];
          key += own.key[m * width + d];
          value += own.value[m * width + d];
        }
        dkey[to + m * shape.channels() + d] = key;
        dvalue[to + m * shape.channels() + d] = value;
      }
    }
  }
}

const bool registered = [] {
  Register<ComputeForward>("CirkdAttention",
                           {"query: float", "key: float", "value: float", "numbers: float"},
                           {"out: float"});
  Register<ComputeGradient>("CirkdAttentionGrad",
                            {"dy: float", "query: float", "key: float", "value: float",
                             "numbers: float"},
                            {"dquery: float", "dkey: float", "dvalue: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
