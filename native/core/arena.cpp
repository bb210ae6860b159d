#include "core/arena.h"

#include <algorithm>

namespace ved {

namespace {

// floats
constexpr size_t kLine = 16;
constexpr size_t kHugePage = size_t{1} << 19;
constexpr size_t kSmallestBlock = size_t{1} << 18, kLargestBlock = size_t{1} << 23;
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAlone = true;  // so that the sanitizer sees an access behind an array
#else
constexpr bool kAlone = false;
#endif

}  // namespace

ArenaFloats Arena::take(size_t count) {
  if (count == 0) return {};
  const size_t left = block_ ? block_->size() - used_ : 0;
  // As large as all before, in whole pages: what stays unused of the last one is little beside the rest.
  const size_t wanted = std::clamp(total_, kSmallestBlock, kLargestBlock);
  const size_t next = wanted < kHugePage ? wanted : wanted / kHugePage * kHugePage;
  total_ += count;
  // Where more than half of a new block would be taken, the present one stays in use for what is smaller.
  if (kAlone || (count > left && count > next / 2)) {
    auto own = std::make_shared<AlignedFloats>(count);
    float* data = own->data();
    return {std::move(own), data, count};
  }
  if (count > left) {
    block_ = std::make_shared<AlignedFloats>(next);
    used_ = 0;
  }
  float* data = block_->data() + used_;
  used_ = std::min(block_->size(), (used_ + count + kLine - 1) / kLine * kLine);
  return {block_, data, count};
}

}  // namespace ved
