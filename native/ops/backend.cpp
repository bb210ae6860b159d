// Host memory, which all backends but devices use.
#include "ops/backend.h"

#include <algorithm>
#include <cstdlib>

#include "core/error.h"

namespace ved::ops {

// calloc: pages are committed by the operating system as they are written.
float* Backend::allocate(size_t floats) {
  auto* memory = static_cast<float*>(std::calloc(floats ? floats : 1, sizeof(float)));
  if (!memory)
    throw Error(ErrorKind::OutOfMemory, "OUT_OF_MEMORY",
                "expected " + std::to_string(floats / 262144) + " MiB of memory, got none");
  return memory;
}

void Backend::release(float* memory) noexcept { std::free(memory); }
void Backend::upload(float* to, const float* from, size_t floats) { std::copy_n(from, floats, to); }
void Backend::download(float* to, const float* from, size_t floats) { std::copy_n(from, floats, to); }
void Backend::copy(float* to, const float* from, size_t floats) { std::copy_n(from, floats, to); }

}  // namespace ved::ops
