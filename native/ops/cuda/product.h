// Which kernels compute a matrix product with 16-bit factors. A function of its shape alone: the same call is served by
// the same kernels in every run.
#pragma once
#include <cstdint>

#include "core/activation.h"
#include "core/compute_type.h"

namespace ved::cuda {

enum class Products : int32_t {
  Chosen,   // by productRoute()
  Own,      // own kernels only
  Library,  // cuBLAS wherever it can express the product: tests and measurements
};

enum class Route : int32_t {
  Own,
  Fused,     // cuBLAS, with bias, activation and residual in its epilogue
  Finished,  // cuBLAS, then a pass over what it wrote
};

struct ProductShape {
  int64_t rows, in, out;
  Activation activation;
  Element y;
  bool residual;
};

// Own kernels stream the weights once for up to this many rows.
constexpr int64_t kFewRows16 = 64;
// Below, an output costs more than its sum, and one kernel that does everything wins.
constexpr int64_t kFewInputs = 128;
// A pass reads and writes 4 bytes per output, 0.9 ps at 4.3 TB/s. What cuBLAS is expected to save is in / 395 TFLOP/s
// - in / 632 TFLOP/s for two operations each: 1.9 fs per input.
constexpr int64_t kFewInputsForPass = 512;

// cuBLAS applies ReLU and the tanh form of GELU before an output is stored. How exact its hyperbolic tangent is, nobody
// says; the one that devices have is good to 11 bits, enough where the output is rounded to 8.
constexpr bool inEpilogue(Activation activation, Element y) {
  return activation == Activation::Identity || activation == Activation::Relu ||
         (activation == Activation::GeluTanh && y == Element::BFloat16);
}

// How cuBLAS can compute the product at all. It adds a matrix before the activation, where a residual comes after; and
// what is too large for float16 becomes infinite, where it has to become the largest number.
constexpr Route libraryRoute(const ProductShape& s) {
  if (s.residual) return s.activation == Activation::Identity && s.y == Element::Float32 ? Route::Fused : Route::Own;
  return inEpilogue(s.activation, s.y) && s.y != Element::Float16 ? Route::Fused : Route::Finished;
}

constexpr Route productRoute(const ProductShape& s) {
  if (s.rows <= kFewRows16 || s.in < kFewInputs) return Route::Own;
  const Route route = libraryRoute(s);
  return route == Route::Finished && s.in < kFewInputsForPass ? Route::Own : route;
}

}  // namespace ved::cuda
