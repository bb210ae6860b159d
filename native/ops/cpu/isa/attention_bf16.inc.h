// Encoder attention on pairs of bfloat16 in 4-byte units. Pairs gives
//   encode(x, k, 0, out)       consecutive values -> units
//   join(low, high, out, n)    n lanes: low in the lower half of a unit, high in the upper
// Included once per ISA that multiplies bfloat16.
#pragma once
#include "ops/cpu/isa/attention.inc.h"

namespace ved::ops::cpu {
namespace {

template <class Pairs>
void packLanesBf16(const float* x, int64_t ldx, int64_t rows, int64_t k, void* out) {
  constexpr int64_t kChunk = 64;  // units
  alignas(64) uint32_t encoded[kPanel * kChunk];
  auto* to = static_cast<float*>(out);
  for (int64_t begin = 0; begin < k; begin += 2 * kChunk) {
    const int64_t count = k - begin < 2 * kChunk ? k - begin : 2 * kChunk;
    for (int64_t r = 0; r < rows; ++r) Pairs::encode(x + r * ldx + begin, count, 0.0f, encoded + r * kChunk);
    packRows(reinterpret_cast<const float*>(encoded), kChunk, rows, (count + 1) / 2, to + begin / 2 * kPanel, kPanel);
  }
}

template <class Pairs>
void packValuesBf16(const float* v, int64_t ldv, int64_t keys, int64_t columns, void* out) {
  auto* to = static_cast<uint32_t*>(out);
  for (int64_t t = 0; t < keys; t += 2, to += columns) {
    const float* even = v + t * ldv;
    for (int64_t i = 0; i < columns; i += Vec::kWidth) {
      const Vec high = t + 1 < keys ? Vec::loadN(even + ldv + i, columns - i) : Vec::zero();
      Pairs::join(Vec::loadN(even + i, columns - i), high, to + i, columns - i);
    }
  }
}

// Relative error 3e-6: a thousandth of what rounding to bfloat16 costs.
constexpr float kExp2Short[] = {9.570105184e-3f, 5.591785910e-2f, 2.402474475e-1f, 6.931218150e-1f, 9.999992615e-01f};

template <class Pairs>
void softmaxBf16(const float* scores, int64_t keys, int64_t lanes, float scale, void* panel, float* inverse) {
  auto* out = static_cast<uint32_t*>(panel);
  const Vec factor = Vec::set1(scale * kLog2E);
  for (int64_t lane = 0; lane < lanes; lane += Vec::kWidth) {
    const float* s = scores + lane;
    const Vec top = laneMaximum(s, keys);
    const auto weight = [&](int64_t t) {
      return exp2OfNonPositive(Vec::mul(Vec::sub(Vec::load(s + t * kPanel), top), factor), kExp2Short);
    };
    Vec even = Vec::zero(), odd = Vec::zero();
    int64_t t = 0;
    for (; t + 2 <= keys; t += 2) {
      const Vec a = weight(t), b = weight(t + 1);
      even = Vec::add(even, a);
      odd = Vec::add(odd, b);
      Pairs::join(a, b, out + t / 2 * kPanel + lane, Vec::kWidth);
    }
    if (t < keys) {
      const Vec a = weight(t);
      even = Vec::add(even, a);
      Pairs::join(a, Vec::zero(), out + t / 2 * kPanel + lane, Vec::kWidth);
    }
    Vec::div(Vec::set1(1.0f), Vec::add(even, odd)).store(inverse + lane);
  }
}

template <class Pairs>
constexpr AttentionKernels makeAttentionBf16(const GemmKernels& gemm) {
  return {&gemm, packLanesBf16<Pairs>, packValuesBf16<Pairs>, softmaxBf16<Pairs>};
}

}  // namespace
}  // namespace ved::ops::cpu
