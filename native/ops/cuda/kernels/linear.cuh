// What the kernels of linear maps share: the epilogue, and the entry points linear.cu chooses between.
#pragma once
#include "ops/cuda/kernels/activation.cuh"
#include "ops/cuda/kernels/context.cuh"

namespace ved::cuda {

// y = act(sum + bias) + residual. The residual may be y itself: each element is read and written by one thread.
__device__ __forceinline__ void storeOutput(const LinearCall& a, int64_t row, int64_t col, float sum) {
  if (a.useBias) sum += a.weight.bias[col];
  sum = activateOne(sum, static_cast<Activation>(a.activation));
  if (a.residual) sum += a.residual[row * a.ldr + col];
  a.y[row * a.ldy + col] = sum;
}

inline int64_t paddedDepth(int64_t in) { return (in + 7) / 8 * 8; }  // 16-bit rows end on 16 bytes

void linearF32(Context& c, const LinearCall& a);
void packF32(Context& c, const PackBlock& a);
Status linear16(Context& c, const LinearCall& a);
void pack16(Context& c, const PackBlock& a);

}  // namespace ved::cuda
