// Over the last axis. Layer: y = (x - mean) / sqrt(var + eps) * gamma + beta; biased variance, computed in two passes.
// Rms: y = x / sqrt(mean of x^2 + eps) * gamma.
#pragma once
#include <cstdint>

#include "core/compute_type.h"

namespace ved::ops {

enum class NormKind : uint8_t { Layer, Rms };

struct LayerNormArgs {
  const float* x;  // [rows, width], row stride ldx
  int64_t ldx;
  float* y;  // [rows, width], row stride ldy; may equal x; nullptr: only the rounded result is wanted
  int64_t ldy;
  int64_t rows;
  int64_t width;
  const float* gamma;  // [width]
  const float* beta;   // [width]; unused by Rms
  float eps;
  NormKind kind = NormKind::Layer;
  // The same result in 16 bits, where the next linear maps read it (plan/operands.cpp).
  void* rounded = nullptr;  // [rows, width], row stride ldRounded
  int64_t ldRounded = 0;
  Element roundedElement = Element::BFloat16;
};

}  // namespace ved::ops
