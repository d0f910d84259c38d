// Winograd's transforms of a tile's sides, for filters of three taps.
//
// m outputs in a row take m + 2 inputs and as many products, where the sums of products take 3 m. Input, filter and
// output are transformed by matrices B, G and A: y = A' [(G w) * (B' x)]. Source: Lavin and Gray, "Fast algorithms for
// convolutional neural networks" (CVPR 2016). The matrices follow from the points at which the polynomials are
// evaluated (Toom and Cook): 0, 1, -1 and infinity for m = 2. For m = 4 the usual 0, 1, -1, 2, -2, infinity loses three
// bits more than 0, 3/4, -3/4, 3/2, -3/2, infinity; these have exact squares and cubes, too.
#ifndef CIRKD_NATIVE_WINOGRAD_TRANSFORM_H_
#define CIRKD_NATIVE_WINOGRAD_TRANSFORM_H_

#include "../level.h"

namespace cirkd {

constexpr int kTaps = 3;  // of a filter, along a side

// B', G and A', and the transposes of the last two, each for one row or column of vectors.
template <int kOutputs>
struct Winograd;

template <>
struct Winograd<2> {
  static constexpr int kSide = 4;

  template <typename V>
  static CIRKD_INLINE void Input(const V* x, V* out) {
    out[0] = x[0] - x[2];
    out[1] = x[2] + x[1];
    out[2] = x[2] - x[1];
    out[3] = x[3] - x[1];
  }

  template <typename V>
  static CIRKD_INLINE void Filter(const V* w, V* out) {
    const V even = 0.5f * (w[0] + w[2]), odd = 0.5f * w[1];
    out[0] = w[0];
    out[1] = even + odd;
    out[2] = even - odd;
    out[3] = w[2];
  }

  template <typename V>
  static CIRKD_INLINE void Output(const V* m, V* out) {
    out[0] = m[0] + (m[1] + m[2]);
    out[1] = (m[1] - m[2]) + m[3];
  }

  template <typename V>
  static CIRKD_INLINE void OutputGradient(const V* dy, V* out) {
    out[0] = dy[0];
    out[1] = dy[0] + dy[1];
    out[2] = dy[0] - dy[1];
    out[3] = dy[1];
  }

  template <typename V>
  static CIRKD_INLINE void FilterGradient(const V* u, V* out) {
    const V even = 0.5f * (u[1] + u[2]);
    out[0] = u[0] + even;
    out[1] = 0.5f * (u[1] - u[2]);
    out[2] = even + u[3];
  }
};

template <>
struct Winograd<4> {
  static constexpr int kSide = 6;
  static constexpr float a = 0.75f, b = 1.5f;
  static constexpr float a2 = a * a, b2 = b * b, a3 = a * a2, b3 = b * b2;
  // The products of a point's distances from the others.
  static constexpr float n0 = a2 * b2, na = 2 * a2 * (a2 - b2), nb = 2 * b2 * (b2 - a2);

  template <typename V>
  static CIRKD_INLINE void Input(const V* x, V* out) {
    const V even_a = x[4] - b2 * x[2], odd_a = a * (x[3] - b2 * x[1]);
    const V even_b = x[4] - a2 * x[2], odd_b = b * (x[3] - a2 * x[1]);
    out[0] = n0 * x[0] - (a2 + b2) * x[2] + x[4];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = n0 * x[1] - (a2 + b2) * x[3] + x[5];
  }

  template <typename V>
  static CIRKD_INLINE void Filter(const V* w, V* out) {
    const V even_a = (1 / na) * w[0] + (a2 / na) * w[2], odd_a = (a / na) * w[1];
    const V even_b = (1 / nb) * w[0] + (b2 / nb) * w[2], odd_b = (b / nb) * w[1];
    out[0] = (1 / n0) * w[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = w[2];
  }

  template <typename V>
  static CIRKD_INLINE void Output(const V* m, V* out) {
    const V even_a = m[1] + m[2], odd_a = m[1] - m[2];
    const V even_b = m[3] + m[4], odd_b = m[3] - m[4];
    out[0] = m[0] + (even_a + even_b);
    out[1] = a * odd_a + b * odd_b;
    out[2] = a2 * even_a + b2 * even_b;
    out[3] = a3 * odd_a + b3 * odd_b + m[5];
  }

  template <typename V>
  static CIRKD_INLINE void OutputGradient(const V* dy, V* out) {
    const V even_a = dy[0] + a2 * dy[2], odd_a = a * dy[1] + a3 * dy[3];
    const V even_b = dy[0] + b2 * dy[2], odd_b = b * dy[1] + b3 * dy[3];
    out[0] = dy[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = dy[3];
  }

  template <typename V>
  static CIRKD_INLINE void FilterGradient(const V* u, V* out) {
    const V even_a = u[1] + u[2], odd_a = u[1] - u[2];
    const V even_b = u[3] + u[4], odd_b = u[3] - u[4];
    out[0] = (1 / n0) * u[0] + (1 / na) * even_a + (1 / nb) * even_b;
    out[1] = (a / na) * odd_a + (b / nb) * odd_b;
    out[2] = (a2 / na) * even_a + (b2 / nb) * even_b + u[5];
  }
};

}  // namespace cirkd

#endif  // CIRKD_NATIVE_WINOGRAD_TRANSFORM_H_
