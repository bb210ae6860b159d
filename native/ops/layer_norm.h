// y = (x - mean) / sqrt(var + eps) * gamma + beta over the last axis; biased variance, computed in two passes.
#pragma once
#include <cstdint>

namespace ved::ops {

struct LayerNormArgs {
  const float* x;  // [rows, width], row stride ldx
  int64_t ldx;
  float* y;  // [rows, width], row stride ldy; may equal x
  int64_t ldy;
  int64_t rows;
  int64_t width;
  const float* gamma;  // [width]
  const float* beta;   // [width]
  float eps;
};

}  // namespace ved::ops
