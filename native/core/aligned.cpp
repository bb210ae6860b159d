#include "core/aligned.h"

#include <limits>
#include <new>
#include <string>

#include "core/error.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace ved {

namespace {

constexpr size_t kHugePage = size_t{2} << 20;

size_t alignmentOf(size_t bytes) { return bytes >= kHugePage ? kHugePage : 64; }

}  // namespace

AlignedFloats::AlignedFloats(size_t count) : size_(count) {
  if (count == 0) return;
  const bool representable = count <= std::numeric_limits<size_t>::max() / sizeof(float) - kHugePage;
  const size_t bytes = count * sizeof(float);
  void* block = representable ? ::operator new(bytes, std::align_val_t{alignmentOf(bytes)}, std::nothrow) : nullptr;
  if (!block)
    throw Error(ErrorKind::OutOfMemory, "OUT_OF_MEMORY", "cannot allocate " + std::to_string(count) + " floats");
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (alignmentOf(bytes) == kHugePage) madvise(block, bytes, MADV_HUGEPAGE);  // advice: failure changes nothing
#endif
  data_ = static_cast<float*>(block);
}

AlignedFloats::~AlignedFloats() {
  if (data_) ::operator delete(data_, std::align_val_t{alignmentOf(size_ * sizeof(float))});
}

float* AlignedFloats::atLeast(size_t count) {
  if (count > size_) {
    *this = AlignedFloats();  // released before the larger block is taken
    *this = AlignedFloats(count + count / 8);
  }
  return data_;
}

}  // namespace ved
