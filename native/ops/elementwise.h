// Element by element. The first three are the unfused forms of a linear op's epilogue: only plans with fusion switched
// off (the oracle) contain all of them.
#pragma once
#include <cstdint>

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
struct GateArgs {
  const float* x;  // [rows, 2 * width]
  float* y;        // [rows, width]
  int64_t rows, width;
  Activation activation;
};  // y[r, i] = act(x[r, i]) * x[r, width + i]

}  // namespace ved::ops
