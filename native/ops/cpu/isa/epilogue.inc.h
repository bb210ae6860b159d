// What follows a register tile: bias, activation, residual. Included once per ISA.
#pragma once
#include "ops/cpu/isa/gemm.inc.h"

namespace ved::ops::cpu {
namespace {

// What the accumulators mean, n .. n + width of row i.
template <bool Quantized>
inline Vec tileValues(const EpilogueArgs& e, int64_t i, int64_t n) {
  const float* p = e.tile + i * kPanel + n;
  if constexpr (!Quantized) return Vec::load(p);
  const Ints sum = Ints::sub(Ints::load(reinterpret_cast<const int32_t*>(p)), Ints::load(e.offset + n));
  return Vec::mul(Vec::mul(sum.toFloat(), Vec::set1(e.rowScale[i])), Vec::load(e.columnScale + n));
}

template <Activation A, bool Quantized>
void epilogueRows(const EpilogueArgs& e) {
  for (int64_t i = 0; i < e.rows; ++i)
    for (int64_t n = 0; n < e.columns; n += Vec::kWidth) {
      const int64_t left = e.columns - n;
      Vec v = tileValues<Quantized>(e, i, n);
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

// The rows' sums and those of their rests as one tile of float32.
inline void joinRests(const EpilogueArgs& e, float* out) {
  for (int64_t i = 0; i < e.rows; ++i)
    for (int64_t n = 0; n < kPanel; n += Vec::kWidth)
      Vec::add(tileValues<true>(e, i, n), tileValues<true>(e, e.rows + i, n)).store(out + i * kPanel + n);
}

inline void epilogue(const EpilogueArgs& e, Activation activation) {
  if (e.rests) {
    alignas(64) float joined[kMaxTileRows / 2 * kPanel];
    joinRests(e, joined);
    EpilogueArgs sums = e;
    sums.tile = joined, sums.rowScale = nullptr, sums.rests = false;
    return epilogue(sums, activation);
  }
  if (e.rowScale)
    dispatch(activation, [&]<Activation A>() { epilogueRows<A, true>(e); });
  else
    dispatch(activation, [&]<Activation A>() { epilogueRows<A, false>(e); });
}

inline void activate(float* y, int64_t n, Activation activation) {
  dispatch(activation, [&]<Activation A>() { activateAll<A>(y, n); });
}

}  // namespace
}  // namespace ved::ops::cpu
