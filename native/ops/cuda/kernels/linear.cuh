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
  storeElement(a.y, a.yElement, row * a.ldy + col, sum);
}

// The rows of a 16-bit product: numbers of the weight's type. What lies behind the last input may be anything.
struct Operand {
  const uint16_t* data;
  int64_t ld;     // a multiple of 8
  int64_t depth;  // inputs
  int64_t ldw;    // of the weight
};

// The part of a call from `row` on, of at most `limit` rows: grids have limits.
inline LinearCall rowsOf(const LinearCall& a, int64_t row, int64_t limit) {
  LinearCall part = a;
  part.x = static_cast<const unsigned char*>(a.x) + row * a.ldx * elementBytes(a.xElement);
  part.y = static_cast<unsigned char*>(a.y) + row * a.ldy * elementBytes(a.yElement);
  if (part.residual) part.residual += row * a.ldr;
  part.rows = a.rows - row < limit ? a.rows - row : limit;
  return part;
}

inline int64_t weightDepth(const Weight& w) { return storedWidth(w.in, operandElement(w.type)); }

void linearF32(Context& c, const LinearCall& a);
void packF32(Context& c, const PackBlock& a);
Status linear16(Context& c, const LinearJob& job);
void pack16(Context& c, const PackBlock& a);
void roundRows(Context& c, const ops::RoundArgs& a);
void linearTiles(Context& c, const LinearCall& a, const Operand& x);    // any number of rows
void linearFewRows(Context& c, const LinearCall& a, const Operand& x);  // kFewRows16 at most

}  // namespace ved::cuda
