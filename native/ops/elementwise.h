// The unfused forms of a linear op's epilogue. Only plans with fusion switched off (the oracle) contain them.
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

}  // namespace ved::ops
