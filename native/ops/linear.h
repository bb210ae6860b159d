// y[m, n] = act( sum_k x[m, k] W[n, k] + b[n] ) + residual[m, n]
#pragma once
#include <cstddef>
#include <cstdint>

#include "ops/activation.h"

namespace ved::ops {

// A weight matrix in the backend's own layout. Made empty, filled block by block (so that a checkpoint never has to be
// in memory twice), then sealed.
class LinearWeight {
 public:
  virtual ~LinearWeight() = default;
  int64_t in = 0;
  int64_t out = 0;
  bool hasBias = false;
  virtual size_t bytes() const = 0;  // resident size, padding included
  // W[outBegin + i, inBegin + j] = data[i * outStride + j * inStride] for i < outCount, j < inCount (float32 source).
  virtual void setBlock(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
                        int64_t outStride, int64_t inStride) = 0;
  virtual void setBias(int64_t outBegin, int64_t outCount, const float* data) = 0;
};

struct LinearArgs {
  const LinearWeight* weight;
  const float* x;  // [rows, in], row stride ldx
  int64_t ldx;
  float* y;  // [rows, out], row stride ldy; may equal residual, may not overlap x
  int64_t ldy;
  int64_t rows;
  bool useBias = true;  // the unfused op list adds the bias by an op of its own
  Activation activation = Activation::Identity;
  const float* residual = nullptr;  // [rows, out], row stride ldr; added after the activation
  int64_t ldr = 0;
};

}  // namespace ved::ops
