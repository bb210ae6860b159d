// Element by element. The first three are the unfused forms of a linear op's epilogue: only plans with fusion switched
// off (the oracle) contain all of them.
#pragma once
#include <cstdint>

#include "core/compute_type.h"
#include "ops/activation.h"

namespace ved::ops {

struct AddBiasArgs {
  float* y;
  int64_t rows, width;
  const float* bias;
};  // y[r, :] += bias
struct ActivateArgs {
  float* y;
  int64_t rows, width;
  Activation activation;
};  // y = act(y)
struct AddArgs {
  float* y;
  const float* x;
  int64_t rows, width;
};  // y += x
struct ScaleColumnsArgs {
  float* y;
  int64_t rows, width;
  const float* factors;  // [width]
};                       // y[r, :] *= factors
// Rotary positions: of each head's query and key x of the last `cells` tokens of an image, with h = headDim / 2 and d <
// h, (x[d], x[d + h]) = (x[d] cos - x[d + h] sin, x[d + h] cos + x[d] sin). In place; values stay.
struct RotateArgs {
  float* qkv;            // [batch * tokens, 3 * heads * headDim]
  const float* cosines;  // [cells, headDim / 2]
  const float* sines;    // same
  int64_t batch, tokens, cells, heads, headDim;
};
// Rotary positions of text: of each head's query, key and, with 3 parts, value x of a token, with d < headDim / 2 and
// the angle a of row positionIds[t], (x[2d], x[2d + 1]) = (x[2d] cos a[d] - x[2d + 1] sin a[d], x[2d + 1] cos a[d] +
// x[2d] sin a[d]). In place.
struct TurnPairsArgs {
  float* qkv;                  // [tokens, 3 * heads * headDim]
  const float* cosines;        // [rows, headDim / 2]
  const float* sines;          // same
  const int32_t* positionIds;  // [tokens], below rows
  int64_t tokens, heads, headDim, rows, parts;
};
struct GateArgs {
  const float* x;  // [rows, 2 * width]
  float* y;        // [rows, width]
  int64_t rows, width;
  Activation activation;
  Element yElement = Element::Float32;  // 16 bits: rows are storedWidth() apart
};                                      // y[r, i] = act(x[r, i]) * x[r, width + i]

}  // namespace ved::ops
