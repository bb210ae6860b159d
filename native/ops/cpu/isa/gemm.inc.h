// The matrix kernels: register tiles and packing. Included once per ISA (see math.inc.h).
#pragma once
#include <math.h>

#include "ops/cpu/isa/dot.inc.h"

#if defined(_MSC_VER)
#define VED_UNROLL
#elif defined(__clang__)
#define VED_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VED_UNROLL _Pragma("GCC unroll 16")
#endif

namespace ved::ops::cpu {
namespace {

constexpr int kPanel = Vec::kWidth * Vec::kPanelVectors;
constexpr int kLine = 16;  // elements of 4 bytes in a cache line
constexpr int kPanelLines = (kPanel + kLine - 1) / kLine;
constexpr int kStreamAhead = 1024;  // elements: 4 KiB

inline void prefetchNear(const uint32_t* p) { Vec::prefetch(reinterpret_cast<const float*>(p)); }
inline void prefetchFar(const uint32_t* p) { Vec::prefetchFar(reinterpret_cast<const float*>(p)); }

// One k step per loop body: with more, compilers hoist the broadcasts and spill the accumulators.
template <class Dot, int MR, int V>
void panelKernel(const void* operand, const void* weights, int64_t units, void* c, int64_t ldc, const void* prefetch,
                 int64_t prefetchLines) {
  const auto* a = static_cast<const uint32_t*>(operand);
  const auto* b = static_cast<const uint32_t*>(weights);
  const auto* next = static_cast<const uint32_t*>(prefetch);
  typename Dot::Sum sum[MR][V];
  VED_UNROLL
  for (int i = 0; i < MR; ++i)
    for (int j = 0; j < V; ++j) sum[i][j] = Dot::zero();
  const bool stream = MR <= 4 || !next;  // few rows per weight: memory bound, so run ahead in this panel
  for (int64_t step = 0; step < units; ++step) {
    if (stream) {
      for (int line = 0; line < kPanelLines; ++line) prefetchNear(b + kStreamAhead + line * kLine);
    } else if (step < prefetchLines) {
      prefetchFar(next + step * kLine);
    }
    VED_UNROLL
    for (int part = 0; part < Dot::kParts; ++part) {
      if constexpr (Dot::kSettled) {
        VED_UNROLL
        for (int i = 0; part && i < MR; ++i)
          for (int j = 0; j < V; ++j) sum[i][j].settle();
      }
      decltype(Dot::weights(b, 0)) w[V];
      for (int j = 0; j < V; ++j) w[j] = Dot::weights(b + j * Dot::kWidth, part);
      VED_UNROLL
      for (int i = 0; i < MR; ++i) {
        const auto x = Dot::operand(a + part * MR + i);
        for (int j = 0; j < V; ++j) sum[i][j] = Dot::dot(x, w[j], sum[i][j]);
      }
    }
    a += Dot::kParts * MR;
    b += kPanel;
  }
  VED_UNROLL
  for (int i = 0; i < MR; ++i)
    for (int j = 0; j < V; ++j) Dot::store(sum[i][j], static_cast<uint32_t*>(c) + i * ldc + j * Dot::kWidth);
}

// The first vector of a row of `out` may be stored whole even when it reaches into the next k: that is written later.
inline void packBlock(const float* x, int64_t ldx, int64_t rows, int64_t k, float* out, int64_t stride, int64_t r0) {
  constexpr int W = Vec::kWidth;
  const int64_t count = rows - r0 < W ? rows - r0 : W;
  Vec r[W];
  for (int i = 0; i < W; ++i) {
    if (i >= count)
      r[i] = Vec::zero();
    else
      r[i] = k >= W ? Vec::load(x + (r0 + i) * ldx) : Vec::loadN(x + (r0 + i) * ldx, k);
  }
  Vec::transpose(r);
  const int64_t steps = k < W ? k : W;
  const bool whole = r0 == 0 || r0 + W <= stride;
  for (int64_t i = 0; i < steps; ++i) {
    if (whole)
      r[i].store(out + i * stride + r0);
    else
      r[i].storeN(out + i * stride + r0, count);
  }
}

inline void packRows(const float* x, int64_t ldx, int64_t rows, int64_t k, float* out, int64_t stride) {
  constexpr int W = Vec::kWidth;
  if (rows == 1 && stride == 1) {
    for (int64_t i = 0; i < k; ++i) out[i] = x[i];
    return;
  }
  for (int64_t i = 0; i < k; i += W)
    for (int64_t r0 = 0; r0 < rows; r0 += W) packBlock(x + i, ldx, rows, k - i, out + i * stride, stride, r0);
}

// What int8 makes of a row: x[k] = scale * round(inverse * x[k]). Not finite: scale is NaN.
struct RowScale {
  float scale, inverse;
};
inline RowScale rowScaleOf(const float* x, int64_t k) {
  const float top = largestFinite(x, k);
  const float usable = top >= 1e-30f ? top : 1e-30f;  // rows of (nearly) zeros, and NaN
  return {top == top ? usable * (1.0f / 127.0f) : top, 127.0f / usable};
}

inline void restOfRow(const float* x, int64_t k, float* out) {
  const RowScale row = rowScaleOf(x, k);
  constexpr float kRounding = 12582912.0f;  // as in nearestInteger
  for (int64_t i = 0; i < k; ++i) out[i] = x[i] - row.scale * ((x[i] * row.inverse + kRounding) - kRounding);
}

// Rows of x, encoded element by element in a buffer that stays in L1, then transposed as 4-byte elements.
template <class Encode>
void packOperand(const float* x, int64_t ldx, int64_t rows, int64_t k, void* out, float* rowScale) {
  constexpr int64_t kChunk = 64 * Encode::kUnit;  // k
  constexpr int64_t kElements = 64 * Encode::kParts;
  alignas(64) uint32_t encoded[kMaxRegisterRows * kElements];
  float inverse[kMaxRegisterRows] = {};
  if constexpr (Encode::kQuantized) {
    for (int64_t r = 0; r < rows; ++r) {
      const RowScale row = rowScaleOf(x + r * ldx, k);
      rowScale[r] = row.scale, inverse[r] = row.inverse;
    }
  }
  auto* to = static_cast<float*>(out);
  for (int64_t begin = 0; begin < k; begin += kChunk) {
    const int64_t count = k - begin < kChunk ? k - begin : kChunk;
    const int64_t elements = (count + Encode::kUnit - 1) / Encode::kUnit * Encode::kParts;
    for (int64_t r = 0; r < rows; ++r)
      if constexpr (Encode::kQuantized) {
        // A row that is not finite is NaN through its scale; its integers only have to be defined.
        static const float zeros[kChunk] = {};
        const bool finite = rowScale[r] == rowScale[r];
        Encode::encode(finite ? x + r * ldx + begin : zeros, count, inverse[r], encoded + r * kElements);
      } else {
        Encode::encode(x + r * ldx + begin, count, 0.0f, encoded + r * kElements);
      }
    packRows(reinterpret_cast<const float*>(encoded), kElements, rows, elements, to, rows);
    to += elements * rows;
  }
}

inline void packFloats(const float* x, int64_t ldx, int64_t rows, int64_t k, void* out, float*) {
  packRows(x, ldx, rows, k, static_cast<float*>(out), rows);
}

}  // namespace
}  // namespace ved::ops::cpu
