// The activations of core/activation.h in float32, one formula each.
#pragma once
#include "core/activation.h"
#include "ops/cuda/kernels/platform.cuh"

namespace ved::cuda {

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// x * s(x) where s decays faster than 1 / x: its limit at -inf is 0, but the product there would be inf * 0.
__device__ __forceinline__ float gated(float x, float s) { return x == kMinusInfinity ? 0.0f : x * s; }

__device__ __forceinline__ float activateOne(float x, Activation kind) {
  switch (kind) {
    case Activation::Identity:
      return x;
    case Activation::Gelu:
      return gated(x, 0.5f * erfcf(-x * 0.70710678118654752440f));
    case Activation::GeluTanh:  // 0.5 (1 + tanh u) == sigmoid(2 u)
      return gated(x, sigmoid(2.0f * 0.79788456080286535588f * (x + 0.044715f * x * x * x)));
    case Activation::QuickGelu:
      return gated(x, sigmoid(1.702f * x));
    case Activation::Relu:
      return x < 0.0f ? 0.0f : x;
    case Activation::Relu2:
      return x < 0.0f ? 0.0f : x * x;
    case Activation::Relu6:
      return x < 0.0f ? 0.0f : x > 6.0f ? 6.0f : x;
    case Activation::LeakyRelu:
      return x < 0.0f ? 0.01f * x : x;
    case Activation::Silu:
      return gated(x, sigmoid(x));
    case Activation::Sigmoid:
      return sigmoid(x);
    case Activation::Tanh:
      return tanhf(x);
    case Activation::Mish:
      return gated(x, tanhf(x > 40.0f ? x : log1pf(expf(x))));
  }
  return x;
}

}  // namespace ved::cuda
