// Cache-line aligned float storage, uninitialised. Large blocks are aligned to and asked to use huge pages: the decoder
// streams all weights once per step, and 4 KiB pages cost it TLB misses.
#pragma once
#include <cstddef>
#include <utility>

namespace ved {

class AlignedFloats {
 public:
  AlignedFloats() = default;
  explicit AlignedFloats(size_t count);  // throws ved::Error (OutOfMemory)
  ~AlignedFloats();
  AlignedFloats(AlignedFloats&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedFloats& operator=(AlignedFloats&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  AlignedFloats(const AlignedFloats&) = delete;
  AlignedFloats& operator=(const AlignedFloats&) = delete;

  float* data() { return data_; }
  const float* data() const { return data_; }
  size_t size() const { return size_; }

  // For scratch memory: at least `count` floats; the old contents are lost when it grows.
  float* atLeast(size_t count);

 private:
  float* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace ved
