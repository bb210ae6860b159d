// exp and the activations on Vec. Included once per ISA; everything is in an anonymous namespace, so that the linker
// can never pick a function compiled for one ISA for another. For the same reason no std:: function template is used
// here.
#pragma once
#include "ops/activation.h"

namespace ved::ops::cpu {
namespace {

inline Vec constant(float x) { return Vec::set1(x); }

// Coefficients from the highest power down.
template <int N>
inline Vec polynomial(Vec x, const float (&c)[N]) {
  Vec p = constant(c[0]);
  for (int i = 1; i < N; ++i) p = Vec::fma(p, x, constant(c[i]));
  return p;
}

// e^x = 2^n e^r, |r| <= ln 2 / 2. Relative error about 1e-7; 0 below -105, inf above 89, NaN stays NaN.
inline Vec exp(Vec x) {
  static constexpr float kExp[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                   4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  x = Vec::max(constant(-105.0f), Vec::min(constant(89.0f), x));
  const Vec n = Vec::round(Vec::mul(x, constant(1.44269504f)));
  Vec r = Vec::fnma(n, constant(0.693359375f), x);  // ln 2 in two parts: the product with n is exact in the first
  r = Vec::fnma(n, constant(-2.12194440e-4f), r);
  const Vec p = Vec::fma(polynomial(r, kExp), Vec::mul(r, r), Vec::add(r, constant(1.0f)));
  return Vec::scale(p, n);
}

inline Vec sigmoid(Vec x) { return Vec::div(constant(1.0f), Vec::add(constant(1.0f), exp(Vec::sub(Vec::zero(), x)))); }

// relu(x) - g(|x|), g(a) = a/2 erfc(a / sqrt 2) = a (top - a) p(2a / top - 1), and 0 from `top` on, where g is 1e-7.
// The coefficients of p minimise the largest error of g (Lawson's iteration): 1.7e-7 with the rounding of float32.
inline Vec gelu(Vec x) {
  constexpr float kTop = 5.5f;
  static constexpr float kTail[] = {2.024831483e-03f,  8.965893358e-05f,  -1.085255574e-02f, 4.962068517e-03f,
                                    2.278880216e-02f,  -2.564198710e-02f, -1.292973198e-02f, 4.636007175e-02f,
                                    -3.307494894e-02f, -1.438380219e-02f, 5.004069954e-02f,  -4.882846773e-02f,
                                    2.637440711e-02f,  -8.010287769e-03f, 1.083554351e-03f};
  const Vec a = Vec::min(constant(kTop), Vec::abs(x));
  const Vec p = polynomial(Vec::fma(a, constant(2.0f / kTop), constant(-1.0f)), kTail);
  return Vec::fnma(Vec::mul(a, Vec::sub(constant(kTop), a)), p, Vec::max(Vec::zero(), x));
}

// 0.5 (1 + tanh u) == sigmoid(2 u)
inline Vec geluTanh(Vec x) {
  x = Vec::max(constant(-40.0f), x);
  const Vec cube = Vec::mul(Vec::mul(x, x), x);
  return Vec::mul(x, sigmoid(Vec::mul(constant(1.59576912f), Vec::fma(constant(0.044715f), cube, x))));
}

// x sigmoid(scale x); the lower clamp keeps -inf * 0 from becoming NaN
inline Vec gatedSigmoid(Vec x, float scale) {
  x = Vec::max(constant(-120.0f), x);
  return Vec::mul(x, sigmoid(Vec::mul(constant(scale), x)));
}

// A polynomial near 0, where 1 - 2 / (e^2x + 1) would lose the relative precision.
inline Vec tanh(Vec x) {
  static constexpr float kTanh[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                                    -3.33332819422e-1f};
  const Vec a = Vec::abs(x), z = Vec::mul(x, x);
  const Vec near = Vec::fma(Vec::mul(polynomial(z, kTanh), z), x, x);
  const Vec e = exp(Vec::add(a, a));
  const Vec far = Vec::sub(constant(1.0f), Vec::div(constant(2.0f), Vec::add(e, constant(1.0f))));
  const Vec signedFar = Vec::selectLess(x, Vec::zero(), Vec::sub(Vec::zero(), far), far);
  return Vec::selectLess(a, constant(0.625f), near, signedFar);
}

// tanh(log(1 + e)) == (e^2 + 2e) / (e^2 + 2e + 2) for e = exp x
inline Vec mish(Vec x) {
  x = Vec::max(constant(-120.0f), x);
  const Vec e = exp(Vec::min(constant(20.0f), x));
  const Vec n = Vec::mul(e, Vec::add(e, constant(2.0f)));
  return Vec::mul(x, Vec::div(n, Vec::add(n, constant(2.0f))));
}

template <Activation A>
inline Vec applyActivation(Vec x) {
  const Vec zero = Vec::zero();
  if constexpr (A == Activation::Gelu) return gelu(x);
  if constexpr (A == Activation::GeluTanh) return geluTanh(x);
  if constexpr (A == Activation::QuickGelu) return gatedSigmoid(x, 1.702f);
  if constexpr (A == Activation::Relu) return Vec::max(zero, x);
  if constexpr (A == Activation::Relu2) return Vec::mul(Vec::max(zero, x), Vec::max(zero, x));
  if constexpr (A == Activation::Relu6) return Vec::min(constant(6.0f), Vec::max(zero, x));
  if constexpr (A == Activation::LeakyRelu) return Vec::selectLess(x, zero, Vec::mul(constant(0.01f), x), x);
  if constexpr (A == Activation::Silu) return gatedSigmoid(x, 1.0f);
  if constexpr (A == Activation::Sigmoid) return sigmoid(x);
  if constexpr (A == Activation::Tanh) return tanh(x);
  if constexpr (A == Activation::Mish) return mish(x);
  static_cast<void>(zero);
  return x;
}

}  // namespace
}  // namespace ved::ops::cpu
