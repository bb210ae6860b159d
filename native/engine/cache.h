// Key and value memory of one attention kind: [layer][slot, head, capacity, headDim]. On the host zero pages are
// committed by the operating system as they are written, so an unused slot or position costs address space only.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "plan/program.h"

namespace ved::engine {

class SlotCache {
 public:
  // One entry per layer: heads * headDim. Throws ved::Error (OutOfMemory) when it exceeds the machine's memory.
  SlotCache(ops::Backend& backend, std::vector<int64_t> innerWidths, int64_t slots, int64_t capacity,
            ops::CacheType type);
  plan::CacheView& view() { return view_; }
  int64_t slots() const { return slots_; }
  int64_t capacity() const { return view_.capacity; }
  size_t bytes() const { return bytes_; }

 private:
  std::vector<std::unique_ptr<ops::Buffer>> buffers_;
  plan::CacheView view_;
  int64_t slots_ = 0;
  size_t bytes_ = 0;
};

// Bytes of physical memory; 0 when unknown.
uint64_t physicalMemory();

}  // namespace ved::engine
