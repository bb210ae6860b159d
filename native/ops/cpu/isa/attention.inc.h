// Encoder attention with the queries in the lanes: a score panel [keys][queries] needs no sum across lanes, and its
// exponentials are the weights panel of the product with the values as they stand. Included once per ISA.
#pragma once
#include "ops/cpu/isa/gemm.inc.h"

namespace ved::ops::cpu {
namespace {

// 2^t for t <= 0, degree from the length of the coefficients; 0 below -150, NaN stays NaN.
template <int N>
inline Vec exp2OfNonPositive(Vec t, const float (&c)[N]) {
  t = Vec::max(constant(-150.0f), t);
  const Vec n = Vec::round(t);
  return Vec::scale(polynomial(Vec::sub(t, n), c), n);
}

// Relative error 1e-8 before rounding.
constexpr float kExp2[] = {
    1.534583067e-4f, 1.339993099e-3f, 9.618488818e-3f, 5.550328777e-2f, 2.402264689e-1f, 6.931472057e-1f, 1.0f};
constexpr float kLog2E = 1.44269504f;

// A NaN does not win the maximum but reaches its lane through the sum.
inline Vec laneMaximum(const float* scores, int64_t keys) {
  Vec top = Vec::load(scores);
  for (int64_t t = 1; t < keys; ++t) top = Vec::max(Vec::load(scores + t * kPanel), top);
  return top;
}

inline void softmaxFloat32(const float* scores, int64_t keys, int64_t lanes, float scale, void* panel, float* inverse) {
  auto* out = static_cast<float*>(panel);
  const Vec factor = Vec::set1(scale * kLog2E);
  for (int64_t lane = 0; lane < lanes; lane += Vec::kWidth) {
    const Vec top = laneMaximum(scores + lane, keys);
    Vec sum = Vec::zero();
    for (int64_t t = 0; t < keys; ++t) {
      const Vec e = exp2OfNonPositive(Vec::mul(Vec::sub(Vec::load(scores + t * kPanel + lane), top), factor), kExp2);
      sum = Vec::add(sum, e);
      e.store(out + t * kPanel + lane);
    }
    Vec::div(Vec::set1(1.0f), sum).store(inverse + lane);
  }
}

inline void packLanesFloat32(const float* x, int64_t ldx, int64_t rows, int64_t k, void* out) {
  packRows(x, ldx, rows, k, static_cast<float*>(out), kPanel);
}

inline void packValuesFloat32(const float* v, int64_t ldv, int64_t keys, int64_t columns, void* out) {
  auto* to = static_cast<float*>(out);
  for (int64_t t = 0; t < keys; ++t, v += ldv, to += columns)
    for (int64_t i = 0; i < columns; ++i) to[i] = v[i];
}

// out[l * ldo + d] = sums[d * panelWidth + l] * inverse[l]
inline void storeQueries(const float* sums, int64_t headDim, int64_t lanes, const float* inverse, float* out,
                         int64_t ldo) {
  constexpr int W = Vec::kWidth;
  for (int64_t l0 = 0; l0 < lanes; l0 += W) {
    const Vec factor = Vec::load(inverse + l0);
    const int64_t rows = lanes - l0 < W ? lanes - l0 : W;
    for (int64_t d0 = 0; d0 < headDim; d0 += W) {
      const int64_t depth = headDim - d0 < W ? headDim - d0 : W;
      Vec r[W];
      for (int i = 0; i < W; ++i)
        r[i] = i < depth ? Vec::mul(Vec::load(sums + (d0 + i) * kPanel + l0), factor) : Vec::zero();
      Vec::transpose(r);
      for (int64_t i = 0; i < rows; ++i) {
        if (depth == W)
          r[i].store(out + (l0 + i) * ldo + d0);
        else
          r[i].storeN(out + (l0 + i) * ldo + d0, depth);
      }
    }
  }
}

}  // namespace
}  // namespace ved::ops::cpu
