// cublasLt, opened at run time when it is there: the fastest way to large 16-bit products on server GPUs. Everything
// runs without it.
#pragma once
#include <string>

#include "ops/cuda/kernels/linear.cuh"

namespace ved::cuda {

class Cublas {
 public:
  // nullptr when it is not found or not usable; `text` says which library is in use or why none.
  static Cublas* open(Context& context, const char* path, std::string& text);
  ~Cublas();
  // y = x W^T with 16-bit x [rows, depth] and float32 y; false when the library declines the shape.
  bool multiply(Context& context, const LinearCall& call, const void* x16, int64_t depth);

 private:
  struct Impl;
  explicit Cublas(Impl* impl) : impl_(impl) {}
  Impl* impl_;
};

}  // namespace ved::cuda
