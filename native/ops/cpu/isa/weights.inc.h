// Packing of weights at load. Plain loops that the compiler vectorises; the same bits in every instruction set.
// Included once per ISA.
#pragma once
#include "ops/cpu/isa/dot.inc.h"

namespace ved::ops::cpu {
namespace {

inline void columnMagnitudes(const float* x, int64_t ldx, int64_t rows, int64_t columns, float* top) {
  constexpr int W = Vec::kWidth;
  for (int64_t n = 0; n < columns; n += W) {
    const int64_t count = columns - n < W ? columns - n : W;
    Vec largest = Vec::loadN(top + n, count);
    for (int64_t r = 0; r < rows; ++r) {
      const Vec v = Vec::loadN(x + r * ldx + n, count);
      largest = Vec::fma(v, Vec::zero(), Vec::max(Vec::abs(v), largest));  // NaN sticks, infinity becomes NaN
    }
    largest.storeN(top + n, count);
  }
}

// Rounding and joining in loops of their own: together they are not vectorised.
inline void roundPairs(const float* x, int64_t k, uint32_t* out) {
  constexpr int64_t kChunk = 256;
  uint32_t rounded[kChunk];
  for (int64_t begin = 0; begin < k; begin += kChunk) {
    const int64_t count = k - begin < kChunk ? k - begin : kChunk;
    for (int64_t i = 0; i < count; ++i) rounded[i] = roundedBf16(x[begin + i]);
    if (count % 2) rounded[count] = 0;
    uint32_t* to = out + begin / 2;
    for (int64_t i = 0; i < (count + 1) / 2; ++i) to[i] = rounded[2 * i] >> 16 | rounded[2 * i + 1];
  }
}

// Two k (of one row of x each) of every column -> one unit; an odd last k has a zero beside it.
inline void pairColumns(const float* x, int64_t ldx, int64_t k, int64_t columns, uint32_t* out, int64_t stride) {
  for (int64_t i = 0; i + 2 <= k; i += 2, x += 2 * ldx, out += stride)
    for (int64_t n = 0; n < columns; ++n) out[n] = roundedBf16(x[n]) >> 16 | roundedBf16(x[ldx + n]);
  if (k % 2)
    for (int64_t n = 0; n < columns; ++n) out[n] = roundedBf16(x[n]) >> 16;
}

inline int32_t quantizeRow(const float* x, int64_t k, float inverse, uint32_t* out) {
  auto* bytes = reinterpret_cast<uint8_t*>(out);
  uint32_t sum = 0;
  for (int64_t i = 0; i < k; ++i) {
    const uint32_t q = nearestInteger(x[i] * inverse);
    bytes[i] = static_cast<uint8_t>(q);
    sum += q;
  }
  for (int64_t i = k; i % 4; ++i) bytes[i] = 0;
  return static_cast<int32_t>(sum);
}

// columns <= kMaxPanelWidth
inline void quantizeColumns(const float* x, int64_t ldx, int64_t k, int64_t columns, const float* inverse,
                            uint32_t* out, int64_t stride, int32_t* sums) {
  for (int64_t i = 0; i < k; i += 4, out += stride) {
    const int64_t depth = k - i < 4 ? k - i : 4;
    for (int64_t n = 0; n < columns; ++n) out[n] = 0;
    for (int64_t d = 0; d < depth; ++d, x += ldx) {
      const int shift = static_cast<int>(8 * d);
      for (int64_t n = 0; n < columns; ++n) {
        const uint32_t q = nearestInteger(x[n] * inverse[n]);
        out[n] |= (q & 0xffu) << shift;
        sums[n] = static_cast<int32_t>(static_cast<uint32_t>(sums[n]) + q);
      }
    }
  }
}

}  // namespace
}  // namespace ved::ops::cpu
