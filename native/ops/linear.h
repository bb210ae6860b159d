// y[m, n] = act( sum_k x[m, k] W[n, k] + b[n] ) + residual[m, n]
//
// In bfloat16 both factors are rounded to bfloat16 first (to nearest, ties to even). In int8 they are replaced by
//   W[n, k] = sw[n] * round(W[n, k] / sw[n]),  sw[n] = max_k |W[n, k]| / 127   (fixed when the weight is filled)
//   x[m, k] = sx[m] * round(x[m, k] / sx[m]),  sx[m] = max_k |x[m, k]| / 127   (per row, at every call)
// and the products of the integers are summed exactly. A row that is not finite gives a row of NaN. In Int8Fine W is
// replaced in the same way, and x by the sum of two such rows: its own, and that of what its own leaves.
// In float16 both are rounded as in bfloat16, but never to infinity: float16Bits().
// Where y is stored in 16 bits, an implementation may round b as well, and the sum before its activation.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/compute_type.h"
#include "ops/activation.h"

namespace ved::ops {

// A weight matrix in the backend's own layout. Made empty, filled block by block (so that a checkpoint never has to be
// in memory twice), then sealed. Every element is covered by exactly one block. Blocks of different outputs may be set
// from several threads of Backend::parallelFor at once.
class LinearWeight {
 public:
  virtual ~LinearWeight() = default;
  int64_t in = 0;
  int64_t out = 0;
  bool hasBias = false;
  ComputeType type = ComputeType::Float32;
  virtual size_t bytes() const = 0;  // resident size, padding included
  // W[outBegin + i, inBegin + j] = data[i * outStride + j * inStride] for i < outCount, j < inCount (float32 source).
  virtual void setBlock(int64_t outBegin, int64_t outCount, int64_t inBegin, int64_t inCount, const float* data,
                        int64_t outStride, int64_t inStride) = 0;
  // Blocks that do not cover all inputs of their outputs must be preceded by setMagnitudes().
  virtual bool needsMagnitudes() const { return false; }
  // max |W[outBegin + i, :]|, NaN when any of it is not finite.
  virtual void setMagnitudes(int64_t /*outBegin*/, int64_t /*outCount*/, const float* /*magnitudes*/) {}
  virtual void setBias(int64_t outBegin, int64_t outCount, const float* data) = 0;
  // After the last block, before the first use.
  virtual void seal() {}
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
  // 16 bits where the plan stored them so (plan/operands.cpp): x then points to numbers of the weight's type, already
  // rounded, and y is rounded as it is written.
  Element xElement = Element::Float32, yElement = Element::Float32;
};

// y[r, :] = x[r, :] in a 16-bit type
struct RoundArgs {
  const float* x;  // row stride ldx
  int64_t ldx;
  void* y;  // row stride ldy
  int64_t ldy, rows, width;
  Element element;
};

}  // namespace ved::ops
