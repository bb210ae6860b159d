// Memory of what lives as long as a model. Arrays are cut out of large blocks one after another: a matrix of one
// megabyte would get no huge page of its own, and the decoder streams all matrices once per step.
#pragma once
#include <cstddef>
#include <memory>

#include "core/aligned.h"

namespace ved {

// A cut of a block, which is freed with its last cut. Aligned to cache lines, uninitialised.
class ArenaFloats {
 public:
  ArenaFloats() = default;
  ArenaFloats(std::shared_ptr<AlignedFloats> block, float* data, size_t size)
      : block_(std::move(block)), data_(data), size_(size) {}

  float* data() { return data_; }
  const float* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::shared_ptr<AlignedFloats> block_;
  float* data_ = nullptr;
  size_t size_ = 0;
};

// Not for several threads at once.
class Arena {
 public:
  ArenaFloats take(size_t count);  // throws ved::Error (OutOfMemory)

 private:
  std::shared_ptr<AlignedFloats> block_;  // the one that is being cut
  size_t used_ = 0;                       // of it
  size_t total_ = 0;                      // ever taken
};

}  // namespace ved
