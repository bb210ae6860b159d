// cuBLASLt as an optional source of matrix products with 16-bit factors. Whatever goes wrong, own kernels take over.
#pragma once
#include <map>

#include "ops/cuda/cublas_lt.h"
#include "ops/cuda/kernels/linear.cuh"

namespace ved::cuda {

class Cublas {
 public:
  // Opens the library in `file`; the context, where there is one and it has none yet, gets it. "" or why it cannot be
  // used. The version is set as soon as it is known.
  static std::string open(Context* context, const std::string& file, int32_t& version);
  ~Cublas();
  Cublas(const Cublas&) = delete;

  // Launches y = epilogue(x W^T), as Route says. False where cuBLAS has no kernel for this shape or fails: nothing was
  // launched then.
  bool multiply(Context& context, const LinearJob& job, const Operand& x, Route route);

 private:
  // Everything its choice of a kernel depends on, in numbers.
  struct Key {
    int64_t values[12];
    bool operator<(const Key& other) const;
  };
  struct Prepared {
    bool usable = false;
    lt::Product product = nullptr;
    lt::Layout w = nullptr, x = nullptr, c = nullptr, y = nullptr;
    lt::Candidate candidate{};
  };

  Cublas() = default;
  Prepared& prepared(Context& context, const LinearJob& job, const Operand& x, Route route);
  bool prepare(Prepared& to, const LinearJob& job, const Operand& x, Route route);
  bool choose(Prepared& to, const LinearJob& job, const Operand& x);
  void drop(Prepared& one);
  void dropAll();

  lt::Functions lt_{};
  lt::Handle handle_ = nullptr;
  void* workspace_ = nullptr;
  size_t workspaceBytes_ = 0;
  std::map<Key, Prepared> prepared_;
};

}  // namespace ved::cuda
