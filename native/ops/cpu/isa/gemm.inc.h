// The matrix kernels on Vec: register tiles, packing, epilogue. Included once per ISA (see math.inc.h).
#pragma once
#include "ops/cpu/isa/math.inc.h"
#include "ops/cpu/kernel_table.h"

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
constexpr int kLineFloats = 16;
constexpr int kPanelLines = (kPanel + kLineFloats - 1) / kLineFloats;
constexpr int kStreamAhead = 1024;  // floats: 4 KiB

// One k step per loop body: with more, compilers hoist the broadcasts and spill the accumulators.
template <int MR>
void panelKernel(const float* a, const float* b, int64_t k, float* c, int64_t ldc, const float* prefetch,
                 int64_t prefetchLines) {
  Vec acc[MR][Vec::kPanelVectors];
  VED_UNROLL
  for (int i = 0; i < MR; ++i)
    for (int j = 0; j < Vec::kPanelVectors; ++j) acc[i][j] = Vec::zero();
  const bool stream = MR <= 4 || !prefetch;  // few rows per weight: memory bound, so run ahead in this panel
  for (int64_t step = 0; step < k; ++step) {
    if (stream) {
      for (int line = 0; line < kPanelLines; ++line) Vec::prefetch(b + kStreamAhead + line * kLineFloats);
    } else if (step < prefetchLines) {
      Vec::prefetchFar(prefetch + step * kLineFloats);
    }
    Vec w[Vec::kPanelVectors];
    for (int j = 0; j < Vec::kPanelVectors; ++j) w[j] = Vec::load(b + j * Vec::kWidth);
    VED_UNROLL
    for (int i = 0; i < MR; ++i) {
      const Vec x = Vec::set1(a[i]);
      for (int j = 0; j < Vec::kPanelVectors; ++j) acc[i][j] = Vec::fma(x, w[j], acc[i][j]);
    }
    a += MR;
    b += kPanel;
  }
  VED_UNROLL
  for (int i = 0; i < MR; ++i)
    for (int j = 0; j < Vec::kPanelVectors; ++j) acc[i][j].store(c + i * ldc + j * Vec::kWidth);
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

void packRows(const float* x, int64_t ldx, int64_t rows, int64_t k, float* out, int64_t stride) {
  constexpr int W = Vec::kWidth;
  if (rows == 1 && stride == 1) {
    for (int64_t i = 0; i < k; ++i) out[i] = x[i];
    return;
  }
  for (int64_t i = 0; i < k; i += W)
    for (int64_t r0 = 0; r0 < rows; r0 += W) packBlock(x + i, ldx, rows, k - i, out + i * stride, stride, r0);
}

template <Activation A>
void epilogueRows(const EpilogueArgs& e) {
  for (int64_t i = 0; i < e.rows; ++i)
    for (int64_t n = 0; n < e.columns; n += Vec::kWidth) {
      const int64_t left = e.columns - n;
      Vec v = Vec::load(e.tile + i * kPanel + n);
      if (e.bias) v = Vec::add(v, Vec::load(e.bias + n));
      v = applyActivation<A>(v);
      if (left >= Vec::kWidth) {
        if (e.residual) v = Vec::add(v, Vec::load(e.residual + i * e.ldr + n));
        v.store(e.y + i * e.ldy + n);
      } else {
        if (e.residual) v = Vec::add(v, Vec::loadN(e.residual + i * e.ldr + n, left));
        v.storeN(e.y + i * e.ldy + n, left);
      }
    }
}

template <Activation A>
void activateAll(float* y, int64_t n) {
  int64_t i = 0;
  for (; i + Vec::kWidth <= n; i += Vec::kWidth) applyActivation<A>(Vec::load(y + i)).store(y + i);
  if (i < n) applyActivation<A>(Vec::loadN(y + i, n - i)).storeN(y + i, n - i);
}

// Calls f with the activation as a template argument.
template <class F>
void dispatch(Activation activation, F f) {
  switch (activation) {
    case Activation::Identity:
      return f.template operator()<Activation::Identity>();
    case Activation::Gelu:
      return f.template operator()<Activation::Gelu>();
    case Activation::GeluTanh:
      return f.template operator()<Activation::GeluTanh>();
    case Activation::QuickGelu:
      return f.template operator()<Activation::QuickGelu>();
    case Activation::Relu:
      return f.template operator()<Activation::Relu>();
    case Activation::Relu2:
      return f.template operator()<Activation::Relu2>();
    case Activation::Relu6:
      return f.template operator()<Activation::Relu6>();
    case Activation::LeakyRelu:
      return f.template operator()<Activation::LeakyRelu>();
    case Activation::Silu:
      return f.template operator()<Activation::Silu>();
    case Activation::Sigmoid:
      return f.template operator()<Activation::Sigmoid>();
    case Activation::Tanh:
      return f.template operator()<Activation::Tanh>();
    case Activation::Mish:
      return f.template operator()<Activation::Mish>();
  }
}

void epilogue(const EpilogueArgs& e, Activation activation) {
  dispatch(activation, [&]<Activation A>() { epilogueRows<A>(e); });
}

void activate(float* y, int64_t n, Activation activation) {
  dispatch(activation, [&]<Activation A>() { activateAll<A>(y, n); });
}

}  // namespace
}  // namespace ved::ops::cpu
