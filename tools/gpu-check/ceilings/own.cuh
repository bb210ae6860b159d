// The package's backend over the CUDA library that is checked: programs that use it are linked with its host half.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "ops/cuda/cuda_backend.h"
#include "ops/cuda/loader.h"

inline std::unique_ptr<ved::cuda::CudaBackend> openBackend(const char* file) {
  static const ved::cuda::Library library = ved::cuda::openLibrary(file);
  if (!library.api) {
    std::fprintf(stderr, "%s\n", library.reason.c_str());
    std::exit(1);
  }
  return std::make_unique<ved::cuda::CudaBackend>(*library.api, 0);
}
